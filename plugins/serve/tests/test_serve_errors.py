"""What is refused, and by which name: messages, tools, forms of answers, prompts that are too long, broken bodies."""

from __future__ import annotations

import json

import pytest

HELLO = [{"role": "user", "content": "Hello"}]
TIME = {"type": "function", "function": {"name": "get_time"}}


def said(*parts):
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    "messages, parameter",
    [
        ([{}], "messages[0].role"),
        ([{"role": 5}], "messages[0].role"),
        ([*HELLO, {"role": "robot", "content": "a"}], "messages[1].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        (said(), "messages[0].content"),
        ([{"role": "assistant", "content": []}, {"role": "user"}], "messages[1].content"),
        (said("text"), "messages[0].content[0]"),
        (said({"text": "a"}), "messages[0].content[0].type"),
        (said({"type": "text"}), "messages[0].content[0].text"),
        (said({"type": "text", "text": "a"}, {"type": "image_url"}), "messages[0].content[1].type"),
        ([{"role": "user", "content": "a", "colour": "red"}], "messages[0].colour"),
        ([{"role": "assistant", "tool_calls": "x"}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
         "messages[0].tool_calls"),
        ([{"role": "user", "content": "\ud800"}], "messages"),
        ([{"role": "user", "content": "a", "name": 5}], "messages[0].name"),
        ([{"role": "tool", "content": "a", "tool_call_id": 5}], "messages[0].tool_call_id"),
        ([{"role": "assistant", "content": "a", "reasoning_content": ["b"]}], "messages[0].reasoning_content"),
    ],
)  # fmt: skip
def test_a_message_that_is_wrong_is_named_by_its_place(tiny, messages, parameter):
    for path in ("/v1/chat/completions", "/v1/chat/completions/input_tokens", "/apply-template"):
        status, _, body = tiny.post(path, {"messages": messages})
        assert (status, body["error"]["param"]) == (400, parameter), body
        assert body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "change, parameter",
    [
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [TIME, {"type": "web_search", "function": {"name": "a"}}]}, "tools[1].type"),
        ({"tools": [TIME, TIME]}, "tools[1].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": "x"}}]},
         "tools[0].function.parameters"),
        ({"grammar": "root ::= this is (not valid"}, "grammar"),
        ({"response_format": {"type": "json_object", "schema": {"type": "hiccup"}}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "hiccup"}}}],
          "tool_choice": "required"}, "tools"),
        ({"grammar": 'root ::= "a"', "chat_template_kwargs": {"enable_thinking": True}}, "chat_template_kwargs"),
        ({"logit_bias": {"99999999": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_a_form_that_cannot_be_is_named(tiny, change, parameter, stream):
    status, _, body = tiny.post("/v1/chat/completions", {"messages": HELLO, "stream": stream, **change})
    assert (status, body["error"]["param"]) == (400, parameter), body


@pytest.mark.parametrize(
    "path, body, parameter",
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 3000}]}, "messages"),
        ("/v1/completions", {"prompt": "word " * 3000}, "prompt"),
        ("/v1/completions", {"prompt": "word " * 3000, "echo": True, "logprobs": 1}, "prompt"),
        ("/v1/responses", {"input": "word " * 3000}, "input"),
        ("/v1/embeddings", {"input": ["a", "word " * 3000]}, "input"),
    ],
)
def test_a_prompt_that_is_too_long_is_measured(tiny, path, body, parameter):
    for stream in (False, True) if path != "/v1/embeddings" else (None,):
        status, _, answer = tiny.post(path, {**body, **({} if stream is None else {"stream": stream})})
        error = answer["error"]
        assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", parameter), error
        assert error["type"] == "exceed_context_size_error"
        assert error["n_prompt_tokens"] > error["n_ctx"] == 2048


@pytest.mark.parametrize(
    "body, parameter",
    [
        (b'{"prompt": "a", "prompt": "b"}', "prompt"),
        (b'{"prompt": "a", "logit_bias": {"1": 5, "2": 6, "1": 7}}', "1"),
    ],
)
def test_what_is_said_twice_is_refused(tiny, body, parameter):
    status, _, answer = tiny.post("/v1/completions", body)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "duplicate_parameter", parameter)


@pytest.mark.parametrize("depth", [127, 128, 500, 1000, 100_000])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/apply-template"])
def test_what_is_nested_too_deeply_is_refused(tiny, path, depth):
    within = 4 if path == "/v1/responses" else 5  # levels around it
    schema = b'{"a":' * (depth - within) + b"{}" + b"}" * (depth - within)
    function = b'{"name": "a", "parameters": %s}' % schema
    body = {
        "/v1/responses": b'{"input": "a", "tools": [{"type": "function", %s], "max_output_tokens": 1}' % function[1:],
    }.get(
        path,
        b'{"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": %s}]%s}'
        % (function, b"" if path == "/apply-template" else b', "max_tokens": 1'),
    )
    status, _, answer = tiny.post(path, body)
    assert status == (200 if depth <= 128 else 400), answer
    assert depth <= 128 or answer["error"]["code"] == "invalid_json"


def test_a_compressed_body_is_refused_as_such(tiny):
    status, _, answer = tiny.post("/v1/completions", b"\x1f\x8b", {"content-encoding": "gzip"})
    assert (status, answer["error"]["code"]) == (415, "unsupported_encoding")
    assert tiny.post("/tokenize", {"content": "a"}, {"content-encoding": "identity"})[0] == 200


@pytest.mark.parametrize(
    "change, parameter",
    [
        ({"input": [{"role": "user", "content": "a", "colour": 1}]}, "input[0].colour"),
        ({"input": [{"type": "reasoning", "content": [], "encrypted_content": "x"}]}, "input[0].encrypted_content"),
        ({"input": [{"role": "robot", "content": "a"}]}, "input"),
        ({"tools": [{"type": "function", "name": "a"}], "tool_choice": {"type": "function", "name": "b"}},
         "tool_choice.name"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "hiccup"}}}}, "text.format"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ],
)  # fmt: skip
def test_responses_have_names_of_their_own(tiny, change, parameter):
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        if parameter == "text.format" and path.endswith("tokens"):
            continue  # a schema is looked at when it is used
        status, _, body = tiny.post(path, {"input": "Hello", **change})
        assert (status, body["error"]["param"]) == (400, parameter), json.dumps(body)
