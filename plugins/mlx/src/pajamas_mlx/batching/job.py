"""One request on its way to an answer."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from pajamas.streaming import StreamText
from pajamas.types import Chunk, FinishReason, TokenLogprob, Usage
from pajamas_mlx.session.logprobs import TokenLogprobs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.types import GenerateRequest
    from pajamas_mlx.session.sampler import Sampler
    from pajamas_mlx.session.sequence import Sequence
    from pajamas_mlx.session.vocabulary import Vocabulary

AHEAD = 64
"""Chunks that are computed before their reader takes them: it may be slow, or have forgotten them."""


class Job:
    """A prompt, the answer so far, and the chunks that the reader has not taken yet.

    :param limit: the largest number of tokens of the answer.
    """

    def __init__(
        self, vocabulary: Vocabulary, sampler: Sampler, request: GenerateRequest, prompt: list[int], limit: int
    ) -> None:
        self.exact = request.exact or request.sampling.seed is not None
        self.reuse = request.cache_prompt
        self.tokens = list(prompt)
        """Prompt and answer; without the answer's last token where the answer ends with it."""
        self.sequence: Sequence | None = None
        """Where its tokens are computed; None while it waits."""
        self.number: int | None = None
        """In the group that it is computed with; None while it is computed alone."""
        self.chunks: deque[Chunk] = deque()
        self.ended = False
        self.cancelled = False
        """Nobody wants it any more: it ends before the next step."""
        self.error: Exception | None = None
        self.prompt_size = len(prompt)
        self.limit = limit
        self.count = 0
        self._rests = False
        self._cached: int | None = None
        self._vocabulary = vocabulary
        self._sampler = sampler
        self._request = request
        self._text = StreamText(request.stop)
        self._started = time.perf_counter()
        self._prompted = self._first = self._last = 0.0

    @property
    def ready(self) -> bool:
        """Whether there is something for its reader: a chunk, the end, or an error."""
        return bool(self.chunks) or self.ended

    @property
    def paused(self) -> bool:
        """Whether its reader has to catch up first: from `AHEAD` chunks on, until half of them are taken."""
        if len(self.chunks) >= AHEAD:
            self._rests = True
        elif not self.satisfied:
            self._rests = False
        return self._rests

    @property
    def uncomputed(self) -> int:
        """Tokens that its sequence does not hold yet; with 1 the next one can be chosen."""
        return len(self.tokens) - (len(self.sequence.tokens) if self.sequence is not None else 0)

    @property
    def satisfied(self) -> bool:
        """Whether its reader has enough to read: without a place it needs none yet."""
        return len(self.chunks) >= AHEAD // 2

    @property
    def left(self) -> int:
        """Tokens that may still be added."""
        return self.limit - self.count

    def pending(self) -> list[int]:
        """The tokens that are to be computed next: some of the prompt, or the one whose logits are wanted."""
        if self.sequence is None:
            return []
        begin, end = len(self.sequence.tokens), len(self.tokens)
        # An exact one that has lost its place in the middle of the answer computes it again as it did the first time.
        if self.uncomputed == 1 or (self.exact and begin >= self.prompt_size - 1):
            return self.tokens[begin : begin + 1]
        end = self.prompt_size if self.exact else end
        return self.tokens[begin : min(begin + self.sequence.chunk, end - 1)]

    def begin(self, sequence: Sequence) -> None:
        """It has a place. (After having lost one, it computes again what it had.)"""
        self.sequence = sequence
        if self._cached is None:
            self._cached = len(sequence.tokens)

    def choose(self, logits: NDArray[np.float32]) -> None:
        """Choose the next token from its row of logits (float32 [vocabulary]), and give out what that makes certain.

        The token that ends an answer is not part of it: not of its text, its ids or its count.

        Raises:
            EngineError: as `Sampler.sample`.
        """
        self._prompted = self._prompted or time.perf_counter()
        if not self.limit:
            self.end("length")
            return
        token, logprobs = self._next(logits)
        if token is None:
            self.end("stop")
            return
        self.count += 1
        self._last = time.perf_counter()
        self._first = self._first or self._last
        piece = self._text.feed(self._vocabulary.piece(token))
        self.chunks.append(Chunk(text=piece, token_ids=(token,), logprobs=logprobs))
        if self._text.stopped:
            self.end("stop")
        elif self.count == self.limit:
            self.end("length")
        else:
            self.tokens.append(token)

    def end(self, reason: FinishReason) -> None:
        """The last chunk: the rest of the text, the reason and the usage."""
        self.chunks.append(Chunk(text=self._text.finish(), finish_reason=reason, usage=self._usage()))
        self.ended = True

    def fail(self, error: Exception) -> None:
        self.error = error
        self.ended = True

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
            prompt_tokens=self.prompt_size,
            completion_tokens=self.count,
            cached_tokens=self._cached or 0,
            prompt_seconds=max(self._prompted - self._started, 0.0),
            generation_seconds=self._last - self._first,
            time_to_first_token=max(self._first - self._started, 0.0),
        )
