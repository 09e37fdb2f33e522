"""The call format is read off a template, and a call that the template writes is read back as the same call."""

from __future__ import annotations

import json

import pytest

from chat_templates import template_text
from pajamas.chat.formats import ToolFormat, require_tool_format, think_tags, tool_format
from pajamas.chat.parser import chat_parser
from pajamas.chat.template import render
from pajamas.errors import UnsupportedFeature

FORMATS = {
    "tiny": ToolFormat.HERMES,
    "Qwen-Qwen3-0.6B.jinja": ToolFormat.HERMES,
    "Qwen3-Coder.jinja": ToolFormat.QWEN3_CODER,
    "google-gemma-2-2b-it.jinja": None,
    "meta-llama-Llama-3.1-8B-Instruct.jinja": ToolFormat.LLAMA3,
    "microsoft-Phi-3.5-mini-instruct.jinja": None,
    "mistralai-Mistral-Nemo-Instruct-2407.jinja": ToolFormat.MISTRAL,
    "openai-gpt-oss-120b.jinja": ToolFormat.HARMONY,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
                "more": {"type": "object"},
            },
        },
    },
}
ARGUMENTS = {"place": 'Zürich\n</tool_call> "x" <b>', "days": 2, "exact": True, "more": {"a": [1.5, None, "}"]}}
SPECIAL_TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}


@pytest.mark.parametrize("name", FORMATS)
def test_format_of_a_template(name):
    assert FORMATS[name] == tool_format(template_text(name))


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format is not None])
@pytest.mark.parametrize("arguments", [ARGUMENTS, {}])
def test_a_call_that_the_template_writes_is_read_back(name, arguments):
    template = template_text(name)
    user = {"role": "user", "content": "How warm is it?"}
    function = {"name": "get_weather", "arguments": arguments}
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "abcdefghi", "type": "function", "function": function}],
    }
    options = {"tools": [TOOL], "special_tokens": SPECIAL_TOKENS}
    prompt = render(template, [user], **options)
    turn = render(template, [user, call], add_generation_prompt=False, **options)
    answer_at = next(i for i in range(len(turn)) if turn[: i + 1] != prompt[: i + 1])  # prompts may add a think block
    prompt = turn[:answer_at]
    parser = chat_parser(template, prompt, [TOOL])

    chunks = parser.feed(turn.removeprefix(prompt)) + parser.finish()

    calls = [call for chunk in chunks for call in chunk.tool_calls]
    assert [("get_weather", arguments)] == [(call.name, json.loads(call.arguments)) for call in calls]
    assert "".join(chunk.reasoning for chunk in chunks) == ""


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages }}", "no place for them"),
        ("{{ tools }}<tool_call>name\n<arg_key>{{ x['\"name\"'] }}</arg_key>", "format that pajamas"),
        ('{{ tools }}<tool_calls>[{"name": 1}]</tool_calls> in <tool_call>', "format that pajamas"),
        ("{{ tools }}", "format that pajamas"),
    ],
)
def test_tools_in_an_unknown_format_are_refused(template, why):
    with pytest.raises(UnsupportedFeature) as raised:
        require_tool_format(template)
    assert why in raised.value.why

    with pytest.raises(UnsupportedFeature):
        chat_parser(template, "", [TOOL])
    chat_parser(template, "")


def test_tags_of_reasoning():
    assert think_tags("") == ("<think>", "</think>")
    assert think_tags("[THINK] [/THINK]") == ("[THINK]", "[/THINK]")


@pytest.mark.parametrize(
    ("prompt", "reasoning"),
    [("<|im_start|>assistant\n<think>\n", "Hm"), ("<think>\n\n</think>\n\n", ""), ("assistant\n", "")],
)
def test_a_prompt_that_ends_inside_the_tag_begins_in_reasoning(prompt, reasoning):
    parser = chat_parser("<think>", prompt)

    assert reasoning == "".join(chunk.reasoning for chunk in parser.feed("Hm ") + parser.feed("now")).removesuffix(
        " now"
    )
