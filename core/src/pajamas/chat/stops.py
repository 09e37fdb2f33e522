"""Stop strings of a model that may think: looked for in its answer, and not in its reasoning.

llama.cpp's server and vLLM look into all that the model writes, so that a stop string in its thoughts ends it before
the answer begins. Here such a request goes to the backend without them, and its stream is ended from outside.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from attrs import evolve

from pajamas.streaming import StreamText
from pajamas.types import Chunk, Usage


class StoppedStream(Iterator[Chunk]):
    """A parsed stream until a stop string comes in its text; then the stream below is closed.

    Args:
        chunks: with reasoning and calls apart; closing this closes them.
        stop: the stop strings.
        prompt_tokens: for the usage of an answer that was stopped, which the backend then does not give; its times are
            measured here, and tokens that came from a cache are not told.
    """

    def __init__(self, chunks: Iterator[Chunk], stop: tuple[str, ...], prompt_tokens: int) -> None:
        self._chunks = chunks
        self._text = StreamText(stop)
        self._prompt_tokens = prompt_tokens
        self._made = 0
        self._began: float | None = None
        self._first: float | None = None
        self._ended = False

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        self._began = self._began or time.perf_counter()
        chunk = next(self._chunks)
        self._made += len(chunk.token_ids)
        if self._first is None and self._made:
            self._first = time.perf_counter()
        text = self._text.feed(chunk.text.encode())
        if chunk.finish_reason is not None and not self._text.stopped:
            text += self._text.finish()
        if not self._text.stopped:
            return evolve(chunk, text=text)
        self.close()
        return evolve(chunk, text=text, tool_calls=(), finish_reason="stop", usage=chunk.usage or self._usage())

    def close(self) -> None:
        self._ended = True
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def _usage(self) -> Usage:
        now = time.perf_counter()
        began, first = self._began or now, self._first or now
        return Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._made,
            prompt_seconds=first - began,
            generation_seconds=now - first,
            time_to_first_token=first - began,
        )
