"""Log-probabilities of the model's own distribution, at one place of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pajamas.types import TokenLogprob
from pajamas_mlx.session.sampler import ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.batching.job import Vocabulary

_TILE = 1 << 18


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [rows, vocabulary]: logits - log(sum(exp(logits))), the sum taken in double precision.

    On the processor MLX's own is wrong in the fifth decimal.
    """
    result = np.empty_like(logits)
    # Some rows at a time: what they leave in between stays in the processor's cache.
    count = max(1, _TILE // logits.shape[1])
    for start in range(0, len(logits), count):
        given, rows = logits[start : start + count], result[start : start + count]
        np.subtract(given, given.max(axis=1, keepdims=True), out=rows)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
    return result


class TokenLogprobs:
    """Probabilities at one place of an answer, from logits [vocabulary], kept until the token there is chosen."""

    def __init__(self, vocabulary: Vocabulary, logits: NDArray[np.float32]) -> None:
        self._vocabulary = vocabulary
        self._values = log_softmax(logits[None])[0]

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
