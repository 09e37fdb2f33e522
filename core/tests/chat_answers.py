"""Answers in every format, and what they say: (format, text, parser options, (reasoning, text, calls))."""

from __future__ import annotations

import itertools

from pajamas.chat.parser import ChatParser
from tool_answers import TOOL_CASES

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {
                "type": "object",
                "properties": {
                    "n": {"type": "integer"},
                    "x": {"type": "number"},
                    "b": {"type": "boolean"},
                    "s": {"type": "string"},
                    "o": {"type": "object"},
                    "l": {"type": "array"},
                    "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "both": {"type": ["string", "null"]},
                },
            },
        },
    },
    {"name": "g"},
]


def parse(format, pieces, **options):
    """What the parser gives for these pieces, joined: (reasoning, text, calls as (name, arguments, id))."""
    ids = itertools.count()
    parser = ChatParser(format, tools=TOOLS if format else (), new_id=lambda: f"id{next(ids)}", **options)
    chunks = [chunk for piece in pieces for chunk in parser.feed(piece)] + parser.finish()
    calls = [(call.name, call.arguments, call.id) for chunk in chunks for call in chunk.tool_calls]
    return "".join(chunk.reasoning for chunk in chunks), "".join(chunk.text for chunk in chunks), calls


CASES = {
    # reasoning, in every state that a prompt leaves it
    "plain": (None, "Hello <b>world</b>\n", {}, ("", "Hello <b>world</b>\n", [])),
    "empty": (None, "", {}, ("", "", [])),
    "think": (None, "<think>\nWhy?\n\nSo.\n</think>\n\nHi \n", {}, ("Why?\n\nSo.", "Hi \n", [])),
    "think after space": (None, "\n\n<think>a</think>b", {}, ("a", "b", [])),
    "think nothing": (None, "<think>\n\n</think>\n\nHi", {}, ("", "Hi", [])),
    "think begun": (None, "Why?\n</think>\n\nHi", {"in_reasoning": True}, ("Why?", "Hi", [])),
    "think begun twice": (None, "<think>\nWhy?</think>Hi", {"in_reasoning": True}, ("Why?", "Hi", [])),
    "think without opener": (None, "Why?</think>\n\nHi</think>", {}, ("", "Why?Hi</think>", [])),
    "think unclosed": (None, "<think>\nWhy?\n</thin", {}, ("Why?\n</thin", "", [])),
    "think unclosed, begun": (None, "  \nWhy", {"in_reasoning": True}, ("  \nWhy", "", [])),
    "think as a word": (None, "The <think> and </think> tags", {}, ("", "The <think> and </think> tags", [])),
    "think in the answer": (None, "<think>a</think>b <think>c</think>", {}, ("a", "b <think>c</think>", [])),
    "think, other tags": (None, "[THINK]a[/THINK]b", {"tags": ("[THINK]", "[/THINK]")}, ("a", "b", [])),
    "think, almost": (None, "<thinking>a</thinking>", {}, ("", "<thinking>a</thinking>", [])),
    "tools not offered": (None, "<tool_call>{}</tool_call>", {}, ("", "<tool_call>{}</tool_call>", [])),
} | TOOL_CASES
