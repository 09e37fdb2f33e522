"""One request on its way to an answer, computed together with others.

For backends whose engine computes the next tokens of several sequences at once. Such a backend writes a `BatchedJob`,
which knows its log-probabilities, and a `Lane` of `pajamas.batching.scheduler`, which runs the engine; its session
gives out `AnswerStream`s of a `BatchScheduler`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pajamas.streaming import StreamText
from pajamas.types import Chunk, FinishReason, TokenLogprob, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.types import GenerateRequest

AHEAD = 64
"""Chunks that are computed before their reader takes them: it may be slow, or have forgotten them."""


class Vocabulary(Protocol):
    """What a job asks about tokens."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids of the tokens that end an answer."""
        ...

    def piece(self, token: int) -> bytes:
        """What a token adds to the text."""
        ...


class Sampler(Protocol):
    """What chooses a token; one for each job."""

    def sample(self, logits: NDArray[np.float32]) -> int | None:
        """The next token's id; None where a grammar is complete and allows no other. May change the logits in place."""
        ...


class Sequence(Protocol):
    """Where a job's tokens are computed."""

    @property
    def tokens(self) -> list[int]:
        """Those whose keys and values the engine holds."""
        ...


class Probabilities(Protocol):
    """The model's own, at one place of an answer, kept until the token there is chosen."""

    def of(self, token: int, count: int) -> TokenLogprob:
        """The token's own, with the `count` most likely tokens in order."""
        ...


SequenceT = TypeVar("SequenceT", bound=Sequence)


class BatchedJob(Generic[SequenceT]):
    """A prompt, the answer so far, and the chunks that the reader has not taken yet.

    Whoever computes calls `choose` with the logits after the last of `tokens`; one thread at a time. A reader takes
    `chunks` in another.

    :param limit: the largest number of tokens of the answer.
    """

    def __init__(
        self, vocabulary: Vocabulary, sampler: Sampler, request: GenerateRequest, prompt: list[int], limit: int
    ) -> None:
        self.exact = request.exact or request.sampling.seed is not None
        self.reuse = request.cache_prompt
        self.tokens = list(prompt)
        """Prompt and answer; without the answer's last token where the answer ends with it."""
        self.sequence: SequenceT | None = None
        """Where its tokens are computed; None while it waits."""
        self.chunks: deque[Chunk] = deque()
        self.ended = False
        self.cancelled = False
        """Nobody wants it any more: it ends before the next step."""
        self.ticket = 0
        """Given by the scheduler: the later the job came, the larger."""
        self.error: Exception | None = None
        self.prompt_size = len(prompt)
        self.limit = limit
        self.count = 0
        self._cached: int | None = None
        self._vocabulary = vocabulary
        self._sampler = sampler
        self._request = request
        self._text = StreamText(request.stop)
        self._started = time.perf_counter()
        self._prompted = self._first = self._last = 0.0

    def probabilities(self, logits: NDArray[np.float32]) -> Probabilities:
        """To be defined: log-probabilities out of logits (float32 [vocabulary]) that are changed afterwards."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether there is something for its reader: a chunk, the end, or an error."""
        return bool(self.chunks) or self.ended

    @property
    def paused(self) -> bool:
        """Whether its reader has to catch up first."""
        return len(self.chunks) >= AHEAD

    @property
    def satisfied(self) -> bool:
        """Whether its reader has enough to read: without a place it needs none yet."""
        return len(self.chunks) >= AHEAD // 2

    @property
    def left(self) -> int:
        """Tokens that may still be added."""
        return self.limit - self.count

    def begin(self, sequence: SequenceT) -> None:
        """It has a place, which may hold its first tokens. (After having lost one, it computes again what it had.)"""
        self.sequence = sequence
        if self._cached is None:
            self._cached = len(sequence.tokens)

    def choose(self, logits: NDArray[np.float32]) -> None:
        """Choose the next token from its row of logits (float32 [vocabulary]), and give out what that makes certain.

        The token that ends an answer is not part of it: not of its text, its ids or its count.

        Raises:
            EngineError: as the sampler.
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
        cached = self._cached or 0 if self.count == 1 else 0
        self.chunks.append(Chunk(text=piece, token_ids=(token,), cached_tokens=cached, logprobs=logprobs))
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
        """Its reader gets the error after the chunks that are there."""
        self.error = error
        self.ended = True

    def _next(self, logits: NDArray[np.float32]) -> tuple[int | None, tuple[TokenLogprob, ...]]:
        """The next token, None at the end of the answer, and its probabilities if they are wanted."""
        wanted = self._request.logprobs
        # Before the sampler, which changes the logits where they lie.
        probabilities = self.probabilities(logits) if wanted is not None else None
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
