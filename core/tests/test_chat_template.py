"""Rendering: prompts are those of transformers, and messages come in every shape that callers use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chat_templates import template_text
from pajamas.chat.template import check_variables, render
from pajamas.errors import TemplateError, UnsupportedFeature, UsageError

TESTS = Path(__file__).parent
GOLDENS = json.loads((TESTS / "chat_goldens.json").read_text(encoding="utf-8"))
USER = {"role": "user", "content": "Hello"}


def golden_prompt(name, conversation):
    prompt = render(
        template_text(name),
        conversation["messages"],
        tools=conversation.get("tools", ()),
        add_generation_prompt=conversation.get("add_generation_prompt", True),
        special_tokens=GOLDENS["special_tokens"],
        **conversation.get("variables", {}),
    )
    return re.sub(r"Current date: \d{4}-\d\d-\d\d", "Current date: (today)", prompt)


# Transformers renders these too, and the prompt lacks the tools' results.
LEAVE_OUT = {("microsoft-Phi-3.5-mini-instruct.jinja", "result")}


@pytest.mark.parametrize("case", GOLDENS["conversations"])
@pytest.mark.parametrize("name", GOLDENS["prompts"])
def test_prompt_is_that_of_transformers(name, case):
    expected = GOLDENS["prompts"][name][case]
    conversation = GOLDENS["conversations"][case]

    if expected is None:
        with pytest.raises(TemplateError, match="refuses these messages"):
            golden_prompt(name, conversation)
    elif (name, case) in LEAVE_OUT:
        with pytest.raises(UsageError, match="prints nothing of the role 'tool'"):
            golden_prompt(name, conversation)
    else:
        assert expected == golden_prompt(name, conversation)


@pytest.mark.parametrize("name", GOLDENS["prompts"])
def test_arguments_as_json_text_and_content_as_parts_give_the_same_prompt(name):
    conversation = json.loads(json.dumps(GOLDENS["conversations"]["result"]))
    for message in conversation["messages"]:
        message["content"] = [{"type": "text", "text": message["content"]}] if message["content"] else None
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)

    expected = GOLDENS["prompts"][name]["result"]
    if expected is None or (name, "result") in LEAVE_OUT:
        pytest.skip("the template refuses tool results")
    assert expected == golden_prompt(name, conversation)


PLAIN = "{% for m in messages %}{{ m.role }}:{{ m.content }}|{% endfor %}"
PARTS = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("content", ["Hello", [{"type": "text", "text": "Hello"}]])
def test_content_is_what_the_template_wants(content):
    message = {"role": "user", "content": content}

    assert render(PLAIN, [message]) == "user:Hello|"
    assert render(PARTS, [message]) == "Hello"


def test_text_parts_are_lines():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert render(PLAIN, [{"role": "user", "content": parts}]) == "user:a\nb|"


def test_messages_are_not_changed():
    call = {"function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]
    before = json.dumps(messages)

    assert '{"a": 1}' in render("{{ messages[1].tool_calls[0].function.arguments | tojson }}", messages)
    assert before == json.dumps(messages)


def test_bare_functions_and_calls_are_wrapped():
    template = "{{ tools[0].type }} {{ tools[0].function.name }} {{ messages[0].tool_calls[0].function.arguments }}"
    messages = [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": ""}]}]

    assert render(template, messages, tools=[{"name": "f"}]) == "function f {}"


def test_no_tools_are_none():
    assert render("{{ tools is none }} {{ documents is none }}", [USER]) == "True True"


@pytest.mark.parametrize("name", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_under_any_name(name):
    template = "{{ messages[1].reasoning_content }}{{ messages[1].thinking }}"

    assert render(template, [USER, {"role": "assistant", "content": "", name: "Hm"}]) == "HmHm"


def test_gpt_oss_takes_content_and_reasoning_beside_a_call():
    call = {"function": {"name": "f", "arguments": {}}}
    message = {"role": "assistant", "content": "Said.", "reasoning_content": "Thought.", "tool_calls": [call]}

    prompt = render(template_text("openai-gpt-oss-120b.jinja"), [USER, message])

    assert "<|channel|>analysis<|message|>Thought.\nSaid.<|end|>" in prompt


def test_variables_win_over_special_tokens():
    assert render("{{ bos_token }}", [USER], special_tokens={"bos_token": "b"}, bos_token="a") == "a"


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([], "there are no messages"),
        (["Hello"], "message 1 has no role"),
        ([{"content": "Hello"}], "message 1 has no role"),
        ([USER, {"role": 1}], "message 2 has no role"),
        ([{"role": "user", "content": 3}], "neither text nor a list"),
        ([{"role": "user", "content": {"text": "a"}}], "neither text nor a list"),
        ([{"role": "user", "content": "a\ud800"}], "half of a character"),
        ([{"role": "user", "content": object()}], "cannot be given a object"),
        ([{"role": "assistant", "tool_calls": {}}], "message 1 holds a tool call"),
        ([{"role": "assistant", "tool_calls": [3]}], "message 1 holds a tool call"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "message 1 holds a tool call"),
        ([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}], "message 1 holds a tool call"),
        ([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": [1]}]}], "message 1 holds a tool call"),
    ],
)
def test_bad_messages_are_refused(messages, what):
    with pytest.raises(UsageError, match=what) as raised:
        render(PLAIN, messages)
    assert raised.value.why
    assert raised.value.fix


@pytest.mark.parametrize("tool", [{}, {"type": "function"}, {"function": {"name": 3}}, {"function": "f"}])
def test_bad_tools_are_refused(tool):
    with pytest.raises(UsageError, match="tool 2 is not a function with a name"):
        render(PLAIN, [USER], tools=[{"name": "f"}, tool])


def test_images_are_refused():
    with pytest.raises(UnsupportedFeature, match="part of type 'image_url'"):
        render(PLAIN, [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}])


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt", "special_tokens", "template"])
def test_variables_that_are_set_from_the_request_are_refused(name):
    check_variables({"enable_thinking": False})
    with pytest.raises(UsageError, match=f"{name} cannot be given"):
        check_variables({name: 1})
