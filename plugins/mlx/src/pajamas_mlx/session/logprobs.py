"""Log-probabilities of the model's own distribution, at one place of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pajamas.types import TokenLogprob
from pajamas_mlx.session.sampler import ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas_mlx.session.vocabulary import Vocabulary


class TokenLogprobs:
    """Log-softmax of logits, float32 [vocabulary], kept until the token there is chosen. The sum is taken in double."""

    def __init__(self, vocabulary: Vocabulary, logits: NDArray[np.float32]) -> None:
        self._vocabulary = vocabulary
        shifted = logits - logits.max()
        self._values = shifted - np.float32(np.log(np.exp(shifted).sum(dtype=np.float64)))

    def of(self, token: int, count: int) -> TokenLogprob:
        """The token's own, with the `count` most likely tokens in order."""
        top = tuple(self._one(int(place)) for place in ranked(self._values, count)) if count else ()
        return self._one(token, top)

    def _one(self, token: int, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        data = self._vocabulary.piece(token)
        return TokenLogprob(
            token_id=token,
            token=data.decode("utf-8", "replace"),
            bytes=data,
            logprob=float(self._values[token]),
            top=top,
        )
