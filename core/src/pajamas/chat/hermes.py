"""Calls as Qwen 2.5, Qwen 3 and Hermes write them: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`.

Format: the text of those models' own chat templates.
"""

from __future__ import annotations

from collections.abc import Sequence

from pajamas.chat.calls import NewId, json_call
from pajamas.chat.scan import JsonEnd, held
from pajamas.chat.tagged import TaggedCalls
from pajamas.types import ToolCall

OPEN = "<tool_call>"
CLOSE = "</tool_call>"


class HermesCalls(TaggedCalls):
    def __init__(self, new_id: NewId) -> None:
        super().__init__((OPEN,))
        self._new_id = new_id

    def _opened(self) -> None:
        self._json = JsonEnd()
        self._read_to = len(OPEN)

    def _end(self, tag: str, *, finished: bool) -> int | None:
        """The first closing tag that is not inside a JSON string: arguments may hold a text about tags."""
        while True:
            close = self._buffer.find(CLOSE, self._read_to)
            if close < 0:
                break
            self._follow(close)
            if not self._json.in_string:
                return close + len(CLOSE)
            self._follow(close + 1)
        if finished:  # a string that never closes: the first closing tag was one after all
            close = self._buffer.find(CLOSE)
            return None if close < 0 else close + len(CLOSE)
        self._follow(len(self._buffer) - held(self._buffer, (CLOSE,)))
        return None

    def _follow(self, end: int) -> None:
        if end > self._read_to:
            self._json.feed(self._buffer, self._read_to, end)
            self._read_to = end

    def _read(self, tag: str, text: str) -> Sequence[ToolCall]:
        call = json_call(text.removeprefix(OPEN).removesuffix(CLOSE), self._new_id)
        return () if call is None else (call,)
