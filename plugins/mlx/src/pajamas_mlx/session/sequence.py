"""One sequence of tokens in the engine's memory, and what of it a next prompt can use again."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pajamas_mlx import engine

if TYPE_CHECKING:
    from collections.abc import Sequence as Tokens

    import numpy as np
    from numpy.typing import NDArray

    from pajamas_mlx.session.model import Model


class Sequence:
    """`tokens` are those whose keys and values the cache holds.

    :param chunk: tokens of a prompt that are computed together, at most.
    """

    def __init__(self, model: Model, device: str, chunk: int) -> None:
        self.model = model
        self.chunk = chunk
        self.tokens: list[int] = []
        self.cache: list[Any] = []
        self._device = device
        # Rounding depends on how tokens are grouped. These first ones were computed in whole chunks from the start, as
        # a fresh session would compute them: their values are the same to the bit.
        self._regular = 0

    def common(self, tokens: Tokens[int], *, exact: bool) -> int:
        """How many tokens at the beginning of a prompt need not be computed again; the last one always is.

        :param exact: only those that make no difference to the result, to the last bit.
        """
        found = min(common_length(self.tokens, tokens), len(tokens) - 1)
        if exact:
            found = min(found, self._regular) // self.chunk * self.chunk
        # A layer that looks back on a window, or keeps a state in place of keys, has forgotten what was before.
        return found if found == len(self.tokens) or all(part.is_trimmable() for part in self.cache) else 0

    def cut(self, count: int) -> None:
        """Forget all tokens behind the first `count`; all of them where the cache cannot be cut."""
        surplus = len(self.tokens) - count
        if surplus and not all(part.is_trimmable() for part in self.cache):
            count = 0
        if surplus and count:
            for part in self.cache:
                part.trim(surplus)
        if not count:
            self.clear()
        del self.tokens[count:]
        self._regular = min(self._regular, count) // self.chunk * self.chunk

    def advance(self, tokens: list[int]) -> None:
        """Compute tokens of a prompt; their results are not wanted.

        Raises:
            EngineError: the engine failed; the sequence is empty.
        """
        regular = len(tokens) == self.chunk and self._regular == len(self.tokens)
        self._compute(tokens, lambda: self.model.advance(tokens, self.cache))
        if regular:
            self._regular = len(self.tokens)

    def logits(self, token: int) -> NDArray[np.float32]:
        """Compute one more token: the logits after it, float32 [vocabulary]. Raises as `advance`."""
        found: NDArray[np.float32] = self._compute([token], lambda: self.model.logits([token], self.cache))
        return found

    def take(self, other: Sequence, cache: list[Any] | None = None) -> None:
        """Hold what the other holds, as a copy; `cache` is one, where the other has lent its own."""
        self.cache = engine.compute(self._device, lambda: copy.deepcopy(other.cache)) if cache is None else cache
        self.tokens, self._regular = list(other.tokens), other._regular

    def lend(self) -> list[Any]:
        """The cache, which is no longer this sequence's; its tokens stay known. `restored` brings it back."""
        cache, self.cache = self.cache, []
        return cache

    def restored(self, tokens: list[int], cache: list[Any], *, lent: bool = False) -> None:
        """The memory was filled from elsewhere with these tokens.

        :param lent: it is what `lend` gave away, and what has been added since.
        """
        self.tokens, self.cache = tokens, cache
        self._regular = self._regular if lent else 0

    def clear(self) -> None:
        self.tokens = []
        self.cache = []
        self._regular = 0

    def _compute(self, tokens: list[int], work: Any) -> Any:
        if not self.cache:
            self.cache = self.model.new_cache()
        try:
            found = engine.compute(self._device, work)
        except BaseException:  # Ctrl-C too, which does not wait for the engine: what it has stored is not known
            self.clear()
            raise
        self.tokens += tokens
        return found


def common_length(known: Tokens[int], prompt: Tokens[int]) -> int:
    """How many tokens at the beginning are equal."""
    shorter = min(len(known), len(prompt))
    if known[:shorter] == prompt[:shorter]:
        return shorter
    return next(place for place in range(shorter) if known[place] != prompt[place])
