"""One sequence of tokens in the engine's memory, and what of it a next prompt can use again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pajamas_mlx import engine

if TYPE_CHECKING:
    from collections.abc import Sequence as Tokens

    import numpy as np
    from numpy.typing import NDArray

    from pajamas_mlx.session.model import Model


class Stopped(Exception):
    """The prompt was cancelled while it was computed."""


class Sequence:
    """`tokens` are those whose keys and values the cache holds.

    :param chunk: tokens that are computed together.
    """

    def __init__(self, model: Model, device: str, chunk: int) -> None:
        self.model = model
        self._device = device
        self._chunk = chunk
        self.tokens: list[int] = []
        self.cache: list[Any] = []
        self.cancelled = threading.Event()
        # Rounding depends on how tokens are grouped. These first ones were computed in whole chunks from the start, as
        # a fresh session would compute them: their values are the same to the bit.
        self._regular = 0

    def prefill(self, prompt: list[int], *, reuse: bool, exact: bool) -> tuple[NDArray[np.float32], int]:
        """Compute a prompt: the logits after it, and how many of its tokens were there already.

        The last token is computed alone, as mlx-lm does it.

        :param exact: reuse only what makes no difference to the result, to the last bit.

        Raises:
            Stopped: cancelled between chunks; what was computed stays.
            EngineError: the engine failed.
        """
        # The last token is always computed: its logits are wanted.
        common = min(_common(self.tokens, prompt), len(prompt) - 1) if reuse else 0
        kept = min(common, self._regular) // self._chunk * self._chunk if exact else common
        kept = self._keep(kept)
        regular = kept % self._chunk == 0 and kept <= self._regular
        self._regular = kept if regular else min(self._regular, kept) // self._chunk * self._chunk
        while len(self.tokens) < len(prompt) - 1:
            if self.cancelled.is_set():
                raise Stopped
            start = len(self.tokens)
            chunk = prompt[start : min(start + self._chunk, len(prompt) - 1)]
            self._compute(chunk, lambda chunk=chunk: self.model.advance(chunk, self.cache))
            if regular and len(chunk) == self._chunk:
                self._regular = len(self.tokens)
        return self.append(prompt[-1]), kept

    def append(self, token: int) -> NDArray[np.float32]:
        """Compute one more token: the logits after it, float32 [vocabulary]."""
        found: NDArray[np.float32] = self._compute([token], lambda: self.model.logits([token], self.cache))
        return found

    def clear(self) -> None:
        self.tokens = []
        self.cache = []
        self._regular = 0

    def restored(self, tokens: list[int], cache: list[Any]) -> None:
        """The memory was filled from elsewhere with these tokens."""
        self.tokens, self.cache, self._regular = tokens, cache, 0

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

    def _keep(self, wanted: int) -> int:
        """Cut the memory back to `wanted` tokens, or to none where it cannot be cut there."""
        surplus = len(self.tokens) - wanted
        # A layer that looks back on a window, or keeps a state in place of keys, has forgotten what was before.
        if surplus and not all(part.is_trimmable() and part.trim(surplus) == surplus for part in self.cache):
            wanted = 0
        if not wanted:
            self.clear()
        del self.tokens[wanted:]
        return wanted


def _common(known: Tokens[int], prompt: Tokens[int]) -> int:
    """How many tokens at the beginning are equal."""
    places = enumerate(zip(known, prompt, strict=False))
    return next((place for place, (one, other) in places if one != other), min(len(known), len(prompt)))
