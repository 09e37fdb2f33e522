"""One request on its way to an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas.errors import EngineError
from pajamas.streaming import StreamText
from pajamas.types import Chunk, FinishReason, TokenLogprob, Usage

if TYPE_CHECKING:
    from pajamas.types import GenerateRequest
    from pajamas_vllm.session.vocabulary import Vocabulary


class Job:
    """A prompt, and what the engine says of it. The engine's thread calls `put`, the reader's thread `read`.

    :param params: vLLM's SamplingParams, for this request alone.
    :param end: what ends the request in the engine, from any thread, also in the middle of a garbage collection.
    """

    def __init__(self, vocabulary: Vocabulary, request: GenerateRequest, prompt: list[int], params: Any) -> None:
        self.prompt = prompt
        self.params = params
        self.exact = request.exact or request.sampling.seed is not None
        self.ended = False
        self.inbox: SimpleQueue[tuple[float, Any]] = SimpleQueue()
        """What the engine says, each with its time: a RequestOutput, an exception, or None at its end."""
        self.end: Callable[[], object] | None = None
        """Ends the request in the engine, from any thread; set when it is given to the engine."""
        self.entered = 0.0
        """When the engine was given it."""
        self._cancelled = False
        self._vocabulary = vocabulary
        self._request = request
        self._text = StreamText(request.stop)
        self._count = 0
        self._cached = 0
        self._began = time.perf_counter()
        self._first = self._last = 0.0

    @property
    def cancelled(self) -> bool:
        """Nobody wants it any more. To set it frees its place in the engine at once."""
        return self._cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value
        if value and self.end is not None:
            self.end()

    def put(self, said: Any) -> None:
        self.inbox.put((time.perf_counter(), said))

    def read(self, when: float, output: Any) -> Chunk:
        """What one RequestOutput (None: it was cancelled) adds to the answer.

        The token that ends an answer is not part of it: not of its text, its ids or its count.

        Raises:
            EngineError: the engine has given it up.
        """
        if output is None:
            return self._last_chunk("cancelled", Chunk())
        cached = 0
        if not self._first:
            self._first = when
            cached = self._cached = output.num_cached_tokens or 0
        completion = output.outputs[0]
        tokens, text, kept = list(completion.token_ids), "", 0
        reason: FinishReason | None = None
        if completion.finish_reason is not None:
            if completion.finish_reason not in _REASONS:
                raise EngineError("vLLM has given the request up.", f"It says {completion.finish_reason!r}.", "")
            reason = _REASONS[completion.finish_reason]
            if completion.stop_reason is not None and tokens:
                tokens.pop()  # the token that the model ends with
        if tokens:
            self._last = when
        for token in tokens:
            kept += 1
            text += self._text.feed(self._vocabulary.piece(token))
            if self._text.stopped:
                reason = "stop"
                break
        self._count += kept
        logprobs = self._logprobs(tokens[:kept], completion.logprobs)
        if reason is None:
            return Chunk(text=text, token_ids=tuple(tokens), cached_tokens=cached, logprobs=logprobs)
        return self._last_chunk(reason, Chunk(text=text, token_ids=tuple(tokens[:kept]), logprobs=logprobs))

    def _last_chunk(self, reason: FinishReason, rest: Chunk) -> Chunk:
        text = rest.text + self._text.finish()
        return evolve(rest, text=text, finish_reason=reason, usage=self._usage())

    def _logprobs(self, tokens: list[int], given: Any) -> tuple[TokenLogprob, ...]:
        wanted = self._request.logprobs
        if wanted is None or not tokens:
            return ()
        found = []
        for token, place in zip(tokens, given, strict=False):
            ranked = sorted(place.items(), key=lambda item: (-item[1].logprob, item[1].rank))[:wanted]
            top = tuple(self._one(number, entry.logprob) for number, entry in ranked)
            found.append(self._one(token, place[token].logprob, top))
        return tuple(found)

    def _one(self, token: int, logprob: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        data = self._vocabulary.piece(token)
        text = data.decode("utf-8", "replace")
        return TokenLogprob(token_id=token, token=text, bytes=data, logprob=min(logprob, 0.0), top=top)

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=len(self.prompt),
            completion_tokens=self._count,
            cached_tokens=self._cached,
            prompt_seconds=max(self._first - (self.entered or self._began), 0.0) if self._first else 0.0,
            generation_seconds=max(self._last - self._first, 0.0),
            time_to_first_token=max(self._first - self._began, 0.0),
        )


_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "cancelled"}
