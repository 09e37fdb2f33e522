"""Calls as Llama 3.1 and its successors write them.

Custom tools: `{"name": ..., "parameters": {...}}`, bare or behind `<|python_tag|>`, several separated by `;`.
Built-in tools: `<|python_tag|>name.call(key="value")`. Format: the model's own chat template.

Bare JSON is a call only where it begins the answer (or follows a call) and names a function that was offered; an answer
in JSON goes out as text as soon as its first key cannot be a call's.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pajamas.chat.calls import NewId, dump, json_call
from pajamas.chat.scan import JsonEnd, held, parse_json
from pajamas.types import Chunk, ToolCall

TAG = "<|python_tag|>"

_FIRST_KEYS = ("name", "parameters", "arguments", "type", "id")
_FIRST_KEY = re.compile(r'\{\s*(?:\Z|"([^"\\]*)("|\Z))')
_BUILTIN = re.compile(r"\s*([A-Za-z_][\w.]*)\.call\((.*)\)\s*", re.DOTALL)
_ARGUMENT = re.compile(r'\s*(\w+)\s*=\s*("(?:[^"\\]|\\.)*"\s*|[^",()]+)(?:,|\Z)', re.DOTALL)
_BUILTIN_BEGUN = re.compile(r"[A-Za-z_][\w.]*(?:\Z|(?<=\.call)\()")


class Llama3Calls:
    def __init__(self, new_id: NewId, names: Collection[str]) -> None:
        self._new_id = new_id
        self._names = names
        self._buffer = ""
        self._json: JsonEnd | None = None
        self._read_to = 0
        self._tagged = False  # the tag is at the start of `_buffer`
        self._at_start = True  # nothing but calls so far
        self._after_call = False

    def feed(self, text: str) -> list[Chunk]:
        self._buffer += text
        chunks: list[Chunk] = []
        while self._step(chunks):
            pass
        return chunks

    def finish(self) -> list[Chunk]:
        rest, self._buffer = self._buffer, ""
        if self._tagged and (call := self._builtin(rest.removeprefix(TAG))) is not None:
            return [Chunk(tool_calls=(call,))]
        if self._after_call and rest.isspace():
            rest = ""
        return [Chunk(text=rest)] if rest else []

    def _step(self, chunks: list[Chunk]) -> bool:
        """Take one thing off the buffer; False where that needs more text."""
        if self._json is not None:
            return self._in_json(self._json, chunks)
        if self._tagged:
            return self._behind_tag(chunks)
        return self._in_text(chunks)

    def _in_text(self, chunks: list[Chunk]) -> bool:
        if self._at_start:
            begun = self._buffer.lstrip(" \t\r\n;," if self._after_call else None)
            if not begun or TAG.startswith(begun):
                return False
            if begun.startswith(TAG):
                self._buffer, self._tagged = begun, True
                return True
            key = _FIRST_KEY.match(begun)
            if key and (key[1] is None or self._can_be_call(key[1], whole=bool(key[2]))):
                if key[2]:
                    self._read_json(len(self._buffer) - len(begun))
                return bool(key[2])
            self._buffer = self._buffer.lstrip() if self._after_call else self._buffer
            self._at_start = self._after_call = False
        found = self._buffer.find(TAG)
        end = len(self._buffer) - held(self._buffer, (TAG,)) if found < 0 else found
        self._write(chunks, end)
        self._tagged = found >= 0
        return self._tagged

    def _behind_tag(self, chunks: list[Chunk]) -> bool:
        begun = self._buffer[len(TAG) :].lstrip()
        if begun.startswith("{"):
            self._read_json(len(self._buffer) - len(begun))
            return True
        if not begun or _BUILTIN_BEGUN.match(begun):  # a built-in's call ends with the stream
            return False
        self._tagged = self._at_start = False
        self._write(chunks, len(TAG))
        return True

    def _read_json(self, start: int) -> None:
        self._json = JsonEnd()
        self._json_start = self._read_to = start

    def _in_json(self, json: JsonEnd, chunks: list[Chunk]) -> bool:
        end = json.feed(self._buffer, self._read_to)
        self._read_to = len(self._buffer)
        if end is None:
            return False
        call = json_call(
            self._buffer[self._json_start : end],
            self._new_id,
            arguments=("parameters", "arguments"),
            names=None if self._tagged else self._names,
        )
        self._json, self._tagged = None, False
        if call is None:
            self._at_start = self._after_call = False
            self._write(chunks, end)
        else:
            self._buffer = self._buffer[end:]
            self._at_start = self._after_call = True
            chunks.append(Chunk(tool_calls=(call,)))
        return True

    def _builtin(self, text: str) -> ToolCall | None:
        """`name.call(key="value", ...)`, with constants only."""
        match = _BUILTIN.fullmatch(text)
        if match is None:
            return None
        position, arguments = 0, {}
        while position < len(match[2]):
            argument = _ARGUMENT.match(match[2], position)
            if argument is None:
                return None
            try:
                arguments[argument[1]] = _constant(argument[2].strip())
            except ValueError:
                return None
            position = argument.end()
        return ToolCall(id=self._new_id(), name=match[1], arguments=dump(arguments))

    def _can_be_call(self, key: str, *, whole: bool) -> bool:
        return key in _FIRST_KEYS if whole else any(first.startswith(key) for first in _FIRST_KEYS)

    def _write(self, chunks: list[Chunk], end: int) -> None:
        if end:
            chunks.append(Chunk(text=self._buffer[:end]))
            self._buffer = self._buffer[end:]


def _constant(text: str) -> Any:
    """A JSON value or one of Python's; the template quotes texts without escaping them, so they may be no JSON.

    Raises:
        ValueError: it is neither.
    """
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    try:
        return parse_json(text)
    except ValueError:
        if text.startswith('"'):
            return text[1:-1]
        raise
