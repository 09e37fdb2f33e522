"""Stop strings of a model that may think: looked for in its answer, and not in its reasoning.

llama.cpp's server and vLLM look into all that the model writes, so that a stop string in its thoughts ends it before
the answer begins. Here such a request goes to the backend without them, and its stream is ended from outside.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from attrs import evolve

from pajamas.streaming import StreamText
from pajamas.types import Chunk, Usage


class StopReader:
    """Takes parsed chunks until a stop string comes in their text; then `stopped` says that the stream is to be closed.

    Args:
        stop: the stop strings.
        prompt_tokens: for the usage of an answer that was stopped, which the backend then does not give; its times are
            measured here.
    """

    def __init__(self, stop: tuple[str, ...], prompt_tokens: int) -> None:
        self._text = StreamText(stop)
        self._prompt_tokens = prompt_tokens
        self._cached = self._made = 0
        self._began = time.perf_counter()
        self._first: float | None = None

    @property
    def stopped(self) -> bool:
        return self._text.stopped

    def feed(self, chunk: Chunk) -> Chunk:
        self._cached += chunk.cached_tokens
        self._made += len(chunk.token_ids)
        if self._first is None and self._made:
            self._first = time.perf_counter()
        text = self._text.feed(chunk.text.encode())
        if chunk.finish_reason is not None and not self._text.stopped:
            text += self._text.finish()
        if not self._text.stopped:
            return evolve(chunk, text=text)
        return evolve(chunk, text=text, tool_calls=(), finish_reason="stop", usage=chunk.usage or self.usage())

    def usage(self) -> Usage:
        """Of what has been taken so far."""
        now = time.perf_counter()
        first = self._first or now
        return Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._made,
            cached_tokens=self._cached,
            prompt_seconds=first - self._began,
            generation_seconds=now - first,
            time_to_first_token=first - self._began,
        )


class StoppedStream(Iterator[Chunk]):
    """A parsed stream until a stop string comes in its text; then the stream below is closed.

    Args:
        chunks: with reasoning and calls apart; closing this closes them.
        stop, prompt_tokens: as `StopReader`'s.
    """

    def __init__(self, chunks: Iterator[Chunk], stop: tuple[str, ...], prompt_tokens: int) -> None:
        self._chunks = chunks
        self._make_reader = partial(StopReader, stop, prompt_tokens)
        self._reader: StopReader | None = None
        self._ended = False

    def __next__(self) -> Chunk:
        if self._ended:
            raise StopIteration
        self._reader = self._reader or self._make_reader()  # its clock starts with the first chunk
        chunk = self._reader.feed(next(self._chunks))
        if self._reader.stopped:
            self.close()
        return chunk

    def close(self) -> None:
        self._ended = True
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
