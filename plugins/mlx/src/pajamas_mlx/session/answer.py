"""One answer as a lazy stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pajamas.streaming import StreamText
from pajamas.types import Chunk, FinishReason, TokenLogprob, Usage
from pajamas_mlx.session.logprobs import TokenLogprobs
from pajamas_mlx.session.sequence import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pajamas.types import GenerateRequest
    from pajamas_mlx.session.sampler import Sampler
    from pajamas_mlx.session.sequence import Sequence
    from pajamas_mlx.session.vocabulary import Vocabulary


class Answer:
    """Computes a prompt and answers it on one sequence. `limit` is the largest number of tokens of the answer."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        sequence: Sequence,
        sampler: Sampler,
        request: GenerateRequest,
        prompt: list[int],
        limit: int,
    ) -> None:
        self._vocabulary = vocabulary
        self._sequence = sequence
        self._sampler = sampler
        self._request = request
        self._prompt = prompt
        self._limit = limit
        self._count = 0
        self._cached = 0
        self._started = self._prompted = self._first = self._last = 0.0

    def chunks(self) -> Iterator[Chunk]:
        """A chunk a token, then one with the rest of the text, the reason for the end and the usage.

        The token that ends an answer is not part of it: not of its text, its ids or its count.
        """
        text = StreamText(self._request.stop)
        self._started = time.perf_counter()
        try:
            logits, self._cached = self._sequence.prefill(
                self._prompt, reuse=self._request.cache_prompt, exact=self._request.sampling.seed is not None
            )
        except Stopped:
            yield Chunk(finish_reason="cancelled", usage=self._usage())
            return
        self._prompted = time.perf_counter()
        reason: FinishReason = "length"
        while self._count < self._limit:
            token, logprobs = self._next(logits)
            if token is None:
                reason = "stop"
                break
            self._count += 1
            self._last = time.perf_counter()
            self._first = self._first or self._last
            yield Chunk(text=text.feed(self._vocabulary.piece(token)), token_ids=(token,), logprobs=logprobs)
            if text.stopped or self._sequence.cancelled.is_set():
                reason = "stop" if text.stopped else "cancelled"
                break
            if self._count < self._limit:
                logits = self._sequence.append(token)
        yield Chunk(text=text.finish(), finish_reason=reason, usage=self._usage())

    def _next(self, logits: NDArray[np.float32]) -> tuple[int | None, tuple[TokenLogprob, ...]]:
        """The next token, None at the end of the answer, and its probabilities if they are wanted."""
        wanted = self._request.logprobs
        # Before the sampler, which changes the logits where they lie.
        probabilities = TokenLogprobs(self._vocabulary, logits) if wanted is not None else None
        token = self._sampler.sample(logits)
        if token is None or (token in self._vocabulary.end_tokens and not self._request.ignore_eos):
            return None, ()
        if probabilities is None or wanted is None:
            return token, ()
        return token, (probabilities.of(token, wanted),)

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=len(self._prompt),
            completion_tokens=self._count,
            cached_tokens=self._cached,
            prompt_seconds=max(self._prompted - self._started, 0.0),
            generation_seconds=self._last - self._first,
            time_to_first_token=max(self._first - self._started, 0.0),
        )
