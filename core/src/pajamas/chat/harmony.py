"""What gpt-oss writes: messages in channels.

    <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...<|return|>
    <|channel|>commentary to=functions.name <|constrain|>json<|message|>{...}<|call|>

The prompt ends with `<|start|>assistant`, so an answer begins in the middle of a header. "analysis" is reasoning,
"final" and a commentary to nobody are text for the user, a message to a function is a call. The last message may end
with the stream, since backends do not emit the tokens that end it. Format: OpenAI's harmony guide and the model's chat
template.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from pajamas.chat.calls import NewId, arguments_text
from pajamas.chat.scan import find_first, held, parse_json
from pajamas.types import Chunk, ToolCall

START = "<|start|>"
CHANNEL = "<|channel|>"
MESSAGE = "<|message|>"

_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_BOUNDS = (*_ENDS, START, CHANNEL)  # a model that forgets the end still begins the next message
_HEADS = (START, CHANNEL, MESSAGE, "to=")
_MAX_HEADER = 256
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_ANALYSIS = re.compile(r"<\|channel\|>\s*analysis\b")


class _State(Enum):
    HEADER = auto()
    TEXT = auto()
    REASONING = auto()
    CALL = auto()


class HarmonyParser:
    """Reasoning and tool calls at once: in this format they are one thing."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._buffer = ""
        self._state = _State.HEADER
        self._header = ""
        self._name = ""
        self._written: set[_State] = set()
        self._new_message = False

    def feed(self, text: str) -> list[Chunk]:
        self._buffer += text
        chunks: list[Chunk] = []
        while self._read_header(chunks) if self._state is _State.HEADER else self._read_body(chunks):
            pass
        return chunks

    def finish(self) -> list[Chunk]:
        rest, self._buffer = self._buffer, ""
        chunks: list[Chunk] = []
        if self._state is _State.CALL:
            self._end_call(chunks, rest, "")
        elif self._state is not _State.HEADER or not rest.isspace():
            self._write(chunks, rest)
        return chunks

    def _read_header(self, chunks: list[Chunk]) -> bool:
        """Find out what the next message is; False where that needs more text."""
        begun = self._buffer.lstrip()
        end = self._buffer.find(MESSAGE)
        if any(head.startswith(begun) for head in _HEADS):
            return False
        if not begun.startswith(_HEADS):
            self._begin(_State.TEXT)
            return True
        if end < 0 and len(self._buffer) < _MAX_HEADER + len(MESSAGE):
            return False
        if not 0 <= end <= _MAX_HEADER:  # no header after all: give it back, beginning so that it is no tag any more
            self._begin(_State.TEXT)
            self._write(chunks, self._take(1))
            return True
        self._header = self._take(end + len(MESSAGE))
        recipient = _RECIPIENT.search(self._header)
        if recipient and recipient[1] not in ("user", "assistant", "all"):
            self._name = recipient[1].removeprefix("functions.")
            self._state = _State.CALL
            self._searched = 0
        else:
            self._begin(_State.REASONING if _ANALYSIS.search(self._header) else _State.TEXT)
        return True

    def _read_body(self, chunks: list[Chunk]) -> bool:
        if self._state is _State.CALL:
            return self._read_call(chunks)
        found = find_first(self._buffer, _BOUNDS)
        if found is None:
            self._write(chunks, self._take(len(self._buffer) - held(self._buffer, _BOUNDS)))
            return False
        self._write(chunks, self._take(found[0]))
        self._end_message(found[1])
        return True

    def _read_call(self, chunks: list[Chunk]) -> bool:
        tail = self._buffer[self._searched :]
        found = find_first(tail, _BOUNDS)
        if found is None:
            self._searched = len(self._buffer) - held(tail, _BOUNDS)
            return False
        body = self._take(self._searched + found[0])
        self._end_call(chunks, body, self._end_message(found[1]))
        return True

    def _end_message(self, tag: str) -> str:
        self._state = _State.HEADER
        return self._take(len(tag)) if tag in _ENDS else ""

    def _end_call(self, chunks: list[Chunk], body: str, end: str) -> None:
        try:
            arguments = arguments_text(parse_json(body), body.strip())
        except ValueError:
            self._begin(_State.TEXT)
            self._write(chunks, self._header + body + end)
            self._state = _State.HEADER
            return
        chunks.append(Chunk(tool_calls=(ToolCall(id=self._new_id(), name=self._name, arguments=arguments),)))

    def _begin(self, state: _State) -> None:
        self._state = state
        self._new_message = state in self._written

    def _write(self, chunks: list[Chunk], text: str) -> None:
        """Messages of one kind are kept apart by a newline."""
        if not text:
            return
        if self._new_message:
            text, self._new_message = "\n" + text, False
        if self._state is _State.REASONING:
            chunks.append(Chunk(reasoning=text))
        else:
            chunks.append(Chunk(text=text))
        self._written.add(_State.REASONING if self._state is _State.REASONING else _State.TEXT)

    def _take(self, count: int) -> str:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
