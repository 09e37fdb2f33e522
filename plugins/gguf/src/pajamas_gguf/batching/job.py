"""One request on its way to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.batching.job import BatchedJob
from pajamas_gguf.session.logprobs import TokenLogprobs
from pajamas_gguf.session.sequence import Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Job(BatchedJob[Sequence]):
    """A prompt, the answer so far, and the chunks that the reader has not taken yet."""

    def probabilities(self, logits: NDArray[np.float32]) -> TokenLogprobs:
        return TokenLogprobs(self._vocabulary, logits)

    @property
    def replaying(self) -> bool:
        """Whether it computes its answer again, token by token as the first time, having lost its place."""
        return self.exact and self.sequence is not None and len(self.sequence.tokens) >= self.prompt_size
