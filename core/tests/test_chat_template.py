"""Rendering: prompts are those of transformers, messages come in every shape that callers use, templates are hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pajamas.chat.template import render
from pajamas.errors import TemplateError

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]
TEMPLATES = ROOT.parent / "shared" / "data" / "chat-templates"
TINY = ROOT / "plugins" / "tiny" / "src" / "pajamas_tiny" / "model" / "chat_template.jinja"
GOLDENS = json.loads((TESTS / "chat_goldens.json").read_text(encoding="utf-8"))
USER = {"role": "user", "content": "Hello"}


def template_text(name):
    path = TINY if name == "tiny" else TEMPLATES / name
    if not path.exists():
        pytest.skip(f"../shared/data/chat-templates/{name} is not here")
    return path.read_text(encoding="utf-8")


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


@pytest.mark.parametrize("case", GOLDENS["conversations"])
@pytest.mark.parametrize("name", GOLDENS["prompts"])
def test_prompt_is_that_of_transformers(name, case):
    expected = GOLDENS["prompts"][name][case]
    conversation = GOLDENS["conversations"][case]

    if expected is None:
        with pytest.raises(TemplateError, match="refuses these messages"):
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
    if expected is None:
        pytest.skip("the template refuses tool results")
    assert expected == golden_prompt(name, conversation)
