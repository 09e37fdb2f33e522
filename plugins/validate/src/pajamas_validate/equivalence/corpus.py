"""What models are compared on: texts that tokenizers stumble over, and conversations that templates stumble over."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from attrs import frozen

from pajamas.types import GenerateRequest

_TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "temperature",
            "description": "The temperature in a city, in \"°C\" or <°F>.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its name"},
                    "unit": {"type": "string", "enum": ["°C", "°F"]},
                    "days": {"type": "array", "items": {"type": "number"}},
                },
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
)  # fmt: skip


@frozen(kw_only=True)
class Conversation:
    id: str
    request: GenerateRequest


def texts() -> dict[str, str]:
    """Name to text: scripts, spaces, digits, code, emoji, combining marks, both directions, texts of special tokens."""
    found: dict[str, str] = _read("texts.json")
    return found


def conversations() -> tuple[Conversation, ...]:
    """Conversations with and without system message, tools, tool results, reasoning, thinking asked for or not."""
    found: list[dict[str, Any]] = _read("conversations.json")
    return tuple(
        Conversation(
            id=entry["id"],
            request=GenerateRequest(
                messages=tuple(entry["messages"]),
                mode=entry.get("mode"),
                tools=_TOOLS if entry.get("tools") else (),
            ),
        )
        for entry in found
    )


def _read(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
