"""One request on its way to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.batching.job import BatchedJob
from pajamas_mlx.session.logprobs import TokenLogprobs
from pajamas_mlx.session.sequence import Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.types import GenerateRequest
    from pajamas_mlx.session.sampler import Sampler
    from pajamas_mlx.session.vocabulary import Vocabulary


class Job(BatchedJob[Sequence]):
    """A prompt, the answer so far, and the chunks that the reader has not taken yet."""

    def __init__(
        self, vocabulary: Vocabulary, sampler: Sampler, request: GenerateRequest, prompt: list[int], limit: int
    ) -> None:
        super().__init__(vocabulary, sampler, request, prompt, limit)
        self.number: int | None = None
        """In the group that it is computed with; None while it is computed alone."""
        self._rests = False

    def probabilities(self, logits: NDArray[np.float32]) -> TokenLogprobs:
        return TokenLogprobs(self._vocabulary, logits)

    @property
    def paused(self) -> bool:
        """Whether its reader has to catch up first: from `AHEAD` chunks on, until half of them are taken."""
        if super().paused:
            self._rests = True
        elif not self.satisfied:
            self._rests = False
        return self._rests

    @property
    def uncomputed(self) -> int:
        """Tokens that its sequence does not hold yet; with 1 the next one can be chosen."""
        return len(self.tokens) - (len(self.sequence.tokens) if self.sequence is not None else 0)

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
