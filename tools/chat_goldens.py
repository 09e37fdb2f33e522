"""Renders our own conversations with transformers, for the tests to hold core's renderer against.

    python tools/chat_goldens.py    (needs transformers and ../shared/data/chat-templates; no part of the workspace)

Writes core/tests/chat_goldens.json: the conversations, and for each template and conversation the prompt that
transformers gives, or null where the template refuses. The templates themselves stay where they are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import transformers

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT.parent / "shared" / "data" / "chat-templates"
TINY = ROOT / "plugins" / "tiny" / "src" / "pajamas_tiny" / "model"
SPECIAL_TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}

USER = {"role": "user", "content": "How warm is it in Zürich? <b>\"Now\"</b> & 'soon' 🌡"}
SYSTEM = {"role": "system", "content": "Be brief."}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place — now",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town's name"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
            },
            "required": ["place"],
        },
    },
}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "a1b2c3d4e",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"place": "Zürich <ZH>", "days": 2, "exact": True}},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "a1b2c3d4e", "name": "get_weather", "content": "21 °C"}
ANSWER = {"role": "assistant", "content": "21 degrees.", "reasoning_content": "The tool says 21."}

CONVERSATIONS = {
    "question": {"messages": [USER]},
    "turns": {"messages": [SYSTEM, USER, ANSWER, {"role": "user", "content": "  And\ntomorrow?  "}]},
    "no-thinking": {"messages": [USER], "variables": {"enable_thinking": False}},
    "answered": {"messages": [USER, ANSWER], "add_generation_prompt": False},
    "tools": {"messages": [SYSTEM, USER], "tools": [WEATHER]},
    "result": {"messages": [USER, CALL, RESULT], "tools": [WEATHER]},
}


def main() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY)
    templates = {path.name: path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.jinja"))}
    templates["tiny"] = (TINY / "chat_template.jinja").read_text(encoding="utf-8")
    prompts = {
        name: {case: render(tokenizer, template, conversation) for case, conversation in CONVERSATIONS.items()}
        for name, template in templates.items()
    }
    goldens = {
        "transformers": transformers.__version__,
        "special_tokens": SPECIAL_TOKENS,
        "conversations": CONVERSATIONS,
        "prompts": prompts,
    }
    path = ROOT / "core" / "tests" / "chat_goldens.json"
    path.write_text(json.dumps(goldens, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {sum(len(cases) for cases in prompts.values())} prompts")


def render(tokenizer: object, template: str, conversation: dict) -> str | None:
    try:
        prompt = tokenizer.apply_chat_template(
            conversation["messages"],
            chat_template=template,
            tools=conversation.get("tools"),
            add_generation_prompt=conversation.get("add_generation_prompt", True),
            tokenize=False,
            **SPECIAL_TOKENS,
            **conversation.get("variables", {}),
        )
    except jinja2.TemplateError as error:
        print(f"refused: {error}")
        return None
    return re.sub(r"Current date: \d{4}-\d\d-\d\d", "Current date: (today)", prompt)


if __name__ == "__main__":
    main()
