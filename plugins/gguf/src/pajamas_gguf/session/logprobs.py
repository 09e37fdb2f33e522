"""Log-probabilities of the model's own distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pajamas.types import TokenLogprob
from pajamas_gguf.session.shortlist import shortlist

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.batching.job import Vocabulary

_TILE = 1 << 18


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [..., vocabulary]: logits - log(sum(exp(logits))), the sum taken in double precision."""
    result = np.empty_like(logits)
    vocabulary = logits.shape[-1]
    # Some rows at a time: what they leave in between stays in the processor's cache, which is a third of the time.
    count = max(1, _TILE // vocabulary)
    given, normalised = logits.reshape(-1, vocabulary), result.reshape(-1, vocabulary)
    scratch = np.empty((min(count, len(given)), vocabulary), np.float32)
    for start in range(0, len(given), count):
        rows = normalised[start : start + count]
        exponentials = scratch[: len(rows)]
        np.subtract(given[start : start + count], given[start : start + count].max(axis=1, keepdims=True), out=rows)
        np.exp(rows, out=exponentials)
        rows -= np.log(exponentials.sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
    return result


class TokenLogprobs:
    """Probabilities at one place of the answer, kept until the token there is chosen."""

    def __init__(self, vocabulary: Vocabulary, logits: NDArray[np.float32]) -> None:
        self._vocabulary = vocabulary
        self._values = log_softmax(logits)

    def of(self, token: int, count: int) -> TokenLogprob:
        """The token's own, with the `count` most likely tokens in order."""
        ids = shortlist(self._values, count) if count else np.empty(0, np.intp)
        # Equal ones by their id, so that the order does not depend on the shortlist.
        order = np.lexsort((ids, -self._values[ids]))[:count]
        top = tuple(self._one(int(ids[place])) for place in order)
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
