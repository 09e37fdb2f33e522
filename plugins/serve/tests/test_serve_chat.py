"""/v1/chat/completions: tools, forms of answers, thinking, log-probabilities, and what is refused."""

from __future__ import annotations

import json

import openai
import pydantic
import pytest

QUESTION = [{"role": "user", "content": "What is 2+2?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "London"]}},
            "required": ["city"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


@pytest.fixture(scope="module")
def client(tiny):
    with openai.OpenAI(base_url=tiny.v1, api_key="none", max_retries=0) as client:
        yield client


def ask(client, **options):
    options = {"model": "tiny", "messages": QUESTION, "temperature": 0, "max_tokens": 60, **options}
    return client.chat.completions.create(**options)


def streamed(client, **options):
    """The message of a stream, put together as clients do."""
    content, reasoning, calls, reason = "", "", {}, None
    for chunk in ask(client, stream=True, **options):
        (choice,) = chunk.choices
        content += choice.delta.content or ""
        reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        for call in choice.delta.tool_calls or ():
            known = calls.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
            known["arguments"] += call.function.arguments or ""
        reason = choice.finish_reason or reason
    return content, reasoning, list(calls.values()), reason


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_tool_that_must_be_called_is_called(client, choice):
    tools = [WEATHER] if choice == "required" else [TIME, WEATHER]
    answer = ask(client, tools=tools, tool_choice=choice).choices[0]
    (call,) = answer.message.tool_calls
    assert answer.finish_reason == "tool_calls" and answer.message.content is None
    assert call.function.name == "get_weather" and call.id
    assert json.loads(call.function.arguments)["city"] in ("Paris", "London")
    content, reasoning, calls, reason = streamed(client, tools=tools, tool_choice=choice)
    assert (content, reasoning, reason) == ("", "", "tool_calls")
    assert [(one["name"], one["arguments"]) for one in calls] == [("get_weather", call.function.arguments)]


def test_a_tool_result_can_be_given_back(client):
    call = {
        "id": "a12345678",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a12345678", "content": "18 degrees"},
    ]
    assert ask(client, messages=messages, tools=[WEATHER]).choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_tools_may_be_left_alone(client):
    assert not ask(client, tools=[WEATHER], tool_choice="none").choices[0].message.tool_calls
    with_tools = ask(client, tools=[WEATHER], tool_choice="auto").usage.prompt_tokens
    assert with_tools > ask(client, tools=[WEATHER], tool_choice="none").usage.prompt_tokens


class Answer(pydantic.BaseModel):
    city: str
    people: int


def test_an_answer_fits_the_schema(client):
    parsed = client.chat.completions.parse(
        model="tiny", messages=QUESTION, response_format=Answer, max_tokens=300, temperature=0, seed=1
    )
    assert isinstance(parsed.choices[0].message.parsed, Answer)
    const = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"const": "42"}}}
    assert ask(client, response_format=const).choices[0].message.content == '"42"'
    object_ = {"type": "json_object", "schema": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"],
               "additionalProperties": False}}  # fmt: skip
    assert json.loads(ask(client, extra_body={"response_format": object_}).choices[0].message.content) == {"a": 1}
    grammar = ask(client, extra_body={"grammar": 'root ::= "yes" | "no"'}).choices[0].message
    assert grammar.content in ("yes", "no")


def test_thinking_is_switched(client):
    thinking = ask(client, extra_body={"chat_template_kwargs": {"enable_thinking": True}}).choices[0].message
    plain = ask(client, extra_body={"chat_template_kwargs": {"enable_thinking": False}}).choices[0].message
    assert thinking.reasoning_content and not hasattr(plain, "reasoning_content")
    assert ask(client, reasoning_effort="none").choices[0].message.content == plain.content
    assert streamed(client)[:2] == (thinking.content, thinking.reasoning_content)


def test_a_stop_text_ends_the_answer_and_not_the_reasoning(client):
    whole = ask(client).choices[0].message
    assert "2 + 2" in whole.reasoning_content
    cut = ask(client, stop="2 + 2")
    assert cut.choices[0].message.reasoning_content == whole.reasoning_content
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("", "stop")
    assert cut.usage.completion_tokens > 16
    assert streamed(client, stop="= 4")[0] == "2 + 2 "
    plain = ask(client, stop="= 4", reasoning_effort="none").choices[0]
    assert (plain.message.content, plain.finish_reason) == ("2 + 2 ", "stop")


def test_a_stop_text_does_not_hide_what_came_from_the_cache(client):
    messages = [{"role": "system", "content": "Be short. " * 40}, *QUESTION]
    cut = [ask(client, messages=messages, max_tokens=300, stop=["a", "e", "i", "o", "u", "1", " "]) for _ in range(2)]
    assert cut[1].choices[0].finish_reason == "stop"
    assert cut[1].usage.prompt_tokens_details.cached_tokens > cut[1].usage.prompt_tokens // 2


def test_log_probabilities_belong_to_the_tokens(client):
    entries = ask(client, logprobs=True, top_logprobs=3, reasoning_effort="none").choices[0].logprobs.content
    assert all(len(entry.top_logprobs) == 3 and entry.logprob <= 0 for entry in entries)
    assert [entry.top_logprobs[0].token for entry in entries] == [entry.token for entry in entries]
    text = b"".join(bytes(entry.bytes) for entry in entries).decode()
    assert text.startswith(ask(client, reasoning_effort="none").choices[0].message.content)
    answer = ask(client, logprobs=True).choices[0]
    assert answer.message.reasoning_content  # whose tokens are not the answer's
    answers = b"".join(bytes(entry.bytes) for entry in answer.logprobs.content).decode()
    assert answers.removesuffix("<|im_end|>") == answer.message.content
    parts = ask(client, logprobs=True, top_logprobs=3, reasoning_effort="none", stream=True)
    found = [entry for part in parts if part.choices[0].logprobs for entry in part.choices[0].logprobs.content]
    assert [entry.token for entry in found] == [entry.token for entry in entries]


def test_choices_are_told_apart_in_a_stream(client):
    whole = ask(client, n=2, seed=3, temperature=1.3)
    texts = {0: "", 1: ""}
    for chunk in ask(client, n=2, seed=3, temperature=1.3, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert [texts[0], texts[1]] == [choice.message.content for choice in whole.choices]


def test_the_developer_speaks_as_the_system(client):
    both = [
        ask(client, messages=[{"role": role, "content": "Be short."}, *QUESTION]).usage.prompt_tokens
        for role in ("developer", "system")
    ]
    assert both[0] == both[1] > ask(client).usage.prompt_tokens


@pytest.mark.parametrize(
    "change, parameter",
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [123]}, "messages[0]"),
        ({"messages": None}, "messages"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice.function.name",
        ),
        ({"tools": [WEATHER], "tool_choice": "required", "response_format": {"type": "json_object"}}, "tool_choice"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 99}, "top_logprobs"),
        ({"response_format": {"type": "sound"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"chat_template_kwargs": {"colour": "red"}}, "chat_template_kwargs.colour"),
        ({"chat_template_kwargs": {"enable_thinking": "yes"}}, "chat_template_kwargs.enable_thinking"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"verbosity": "low"}, "verbosity"),
        ({"store": True}, "store"),
        ({"audio": {}}, "audio"),
        ({"functions": []}, "functions"),
    ],
)
def test_what_cannot_be_honoured_is_named(tiny, change, parameter):
    status, _, body = tiny.post("/v1/chat/completions", {"messages": QUESTION, **change})
    assert status == 400, body
    assert (body["error"]["type"], body["error"]["param"]) == ("invalid_request_error", parameter)


def test_what_asks_for_nothing_is_no_reason_to_refuse(tiny):
    nothing = dict.fromkeys(["functions", "audio", "metadata", "tools", "stop", "logit_bias", "seed", "stream_options"])
    body = {"messages": QUESTION, "max_tokens": 2, "max_completion_tokens": 2, "presence_penalty": 0, **nothing}
    status, _, answer = tiny.post("/v1/chat/completions", body)
    assert status == 200 and answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    "message",
    [{}, {"role": 5}, {"role": "user", "content": 5}, {"role": "user", "content": [{"type": "image_url"}]},
     {"role": "user", "content": "\ud800"}, {"role": "assistant", "tool_calls": "x"}],
)  # fmt: skip
def test_messages_that_are_none_are_refused(tiny, message):
    status, _, body = tiny.post("/v1/chat/completions", {"messages": [message]})
    assert status == 400 and body["error"]["message"]
