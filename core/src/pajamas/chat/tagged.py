"""Calls between tags: the text around them goes out at once, a call when its closing tag is there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pajamas.chat.scan import find_first, held, split_space
from pajamas.types import Chunk, ToolCall


class TaggedCalls(ABC):
    """The part that formats with tags share. White space around a call belongs to the call.

    A subclass names the opening tags, finds a call's end in the buffer, and reads it. What it cannot read is given back
    as text, tags and all.
    """

    def __init__(self, opening: Sequence[str]) -> None:
        self._opening = tuple(opening)
        self._buffer = ""  # starts with an opening tag while `_tag` is set
        self._space = ""  # white space before the buffer that a call would swallow
        self._tag: str | None = None
        self._after_call = False

    @abstractmethod
    def _end(self, tag: str, *, finished: bool) -> int | None:
        """Where the call at the start of `_buffer` ends, or None while that is open.

        At the end of the stream (`finished`) None means that the call never ended.
        """

    @abstractmethod
    def _read(self, tag: str, text: str) -> Sequence[ToolCall]:
        """The calls in a whole tagged text; none where it is malformed."""

    @abstractmethod
    def _opened(self) -> None:
        """A call begins at the start of `_buffer`."""

    def feed(self, text: str) -> list[Chunk]:
        self._buffer += text
        return self._advance(finished=False)

    def finish(self) -> list[Chunk]:
        chunks = self._advance(finished=True)
        rest = self._space + self._buffer
        self._buffer = self._space = ""
        if rest:
            chunks.append(Chunk(text=rest))
        return chunks

    def _advance(self, *, finished: bool) -> list[Chunk]:
        chunks: list[Chunk] = []
        while (tag := self._tag or self._open_call(chunks)) is not None:
            end = self._end(tag, finished=finished)
            if end is None:
                break
            calls = self._read(tag, self._buffer[:end])
            text, self._buffer = self._buffer[:end], self._buffer[end:]
            self._tag = None
            if calls:
                chunks.append(Chunk(tool_calls=tuple(calls)))
                self._space = ""
                self._after_call = True
            else:
                self._write(chunks, text)
        return chunks

    def _open_call(self, chunks: list[Chunk]) -> str | None:
        found = find_first(self._buffer, self._opening)
        end = len(self._buffer) - held(self._buffer, self._opening) if found is None else found[0]
        text, self._buffer = self._buffer[:end], self._buffer[end:]
        self._write(chunks, text)
        if found is not None:
            self._tag = found[1]
            self._opened()
        return self._tag

    def _write(self, chunks: list[Chunk], text: str) -> None:
        if self._after_call:
            text = text.lstrip()
            self._after_call = not text
        text, self._space = split_space(self._space + text)
        if text:
            chunks.append(Chunk(text=text))
