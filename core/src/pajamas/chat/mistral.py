"""Calls as Mistral's models write them behind `[TOOL_CALLS]`.

Older models (Mistral Nemo): one JSON array, `[TOOL_CALLS][{"name": ..., "arguments": {...}, "id": ...}]`.
Newer ones (Mistral Small 3.2, Devstral, Ministral): `[TOOL_CALLS]name[ARGS]{...}` for each call, with `[CALL_ID]id`
before the arguments in some. Format: those models' own chat templates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pajamas.chat.calls import NewId, arguments_text, json_call
from pajamas.chat.scan import JsonEnd, parse_json
from pajamas.chat.tagged import TaggedCalls
from pajamas.types import ToolCall

TAG = "[TOOL_CALLS]"

# Lengths are bounded so that a head is known for one, or for text, after `_MAX_HEAD` characters however they arrive.
_HEAD = re.compile(r"\s{0,8}([\w.-]{1,64})\s{0,8}(?:\[CALL_ID\]\s{0,8}(\w{1,64})\s{0,8})?(?:\[ARGS\]\s{0,8})?(?=\{)")
_JSON = re.compile(r"\s{0,8}(?:\[\s{0,8})?\{")
_HEAD_BEGUN = re.compile(r"\s*[\w.-]*\s*(?:\[[A-Z_]*\]?\s*\w*\s*){0,2}")
_MAX_HEAD = 256


class MistralCalls(TaggedCalls):
    def __init__(self, new_id: NewId) -> None:
        super().__init__((TAG,))
        self._new_id = new_id

    def _opened(self) -> None:
        self._json: JsonEnd | None = None
        self._read_to = len(TAG)

    def _end(self, tag: str, *, finished: bool) -> int | None:
        if self._json is None:
            body = self._buffer[len(TAG) :]
            if _JSON.match(body):
                self._read_to = len(self._buffer) - len(body.lstrip())
            elif head := _HEAD.match(body):
                self._read_to = len(TAG) + head.end()
            elif len(body) <= _MAX_HEAD and _HEAD_BEGUN.fullmatch(body):
                return None
            else:
                return len(TAG)
            self._json = JsonEnd()
        start, self._read_to = self._read_to, len(self._buffer)
        return self._json.feed(self._buffer, start)

    def _read(self, tag: str, text: str) -> Sequence[ToolCall]:
        body = text.removeprefix(TAG).strip()
        if body.startswith("["):
            return self._array(body)
        if body.startswith("{"):
            call = json_call(body, self._new_id)
            return () if call is None else (call,)
        head = _HEAD.match(body)
        if head is None:
            return ()
        arguments = body[head.end() :]
        try:
            written = arguments_text(parse_json(arguments), arguments)
        except ValueError:
            return ()
        return (ToolCall(id=head[2] or self._new_id(), name=head[1], arguments=written),)

    def _array(self, body: str) -> Sequence[ToolCall]:
        """Every element's call; none where one of them is malformed."""
        calls, position = [], 1
        while True:
            end = JsonEnd().feed(body, position)
            if end is None:
                return ()
            call = json_call(body[position:end], self._new_id)
            if call is None:
                return ()
            calls.append(call)
            rest = body[end:].lstrip()
            if not rest.startswith(","):
                return calls if rest == "]" else ()
            position = len(body) - len(rest) + 1
