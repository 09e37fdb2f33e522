"""One sequence of tokens in the engine's memory, and what of it a prompt can use again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence as Tokens

    from pajamas_gguf.batching.cells import Cells
    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.model import Model

PIECE = 512
"""Tokens of a prompt that are computed together. Rounding depends on it."""


class Sequence:
    """`tokens` are those whose keys and values the context holds under this sequence's `number`."""

    def __init__(self, context: Context, number: int, cells: Cells, model: Model) -> None:
        self.context = context
        self.number = number
        self.tokens: list[int] = []
        self.regular = 0
        """These first tokens were computed in whole pieces from the beginning on, as in a fresh session: their values
        are the same to the last bit."""
        self.used = 0.0
        """When a job was given it or has left it, by `time.monotonic`."""
        self._cells = cells
        self._taken: list[int] = []
        self._window = model.sliding_window
        self.whole = model.is_recurrent
        """Its state is that after all tokens, and none other."""

    @property
    def own_cells(self) -> int:
        """Cells that would be free without this sequence."""
        return self._cells.freed_by(self._taken)

    def common(self, prompt: list[int], *, exact: bool) -> int:
        """How many tokens at its beginning a prompt need not compute again. Its last one it must: for the logits.

        :param exact: only those that make no difference to the result, to the last bit.
        """
        common = min(common_length(self.tokens, prompt), len(prompt) - 1)
        if exact:
            return min(common, self.regular) // PIECE * PIECE
        return 0 if self.whole and common < len(self.tokens) else common

    def cut(self, wanted: int) -> int:
        """Cut the memory back to `wanted` tokens, or to none where it cannot be cut there; how many it has then."""
        if wanted >= len(self.tokens):
            return len(self.tokens)
        if not wanted or not self.context.forget(self.number, wanted) or not self._window_is_there(wanted):
            wanted = 0
            self.context.forget(self.number)
        self._shorten(wanted)
        return wanted

    def clear(self) -> None:
        self.cut(0)

    def copy(self, source: Sequence, wanted: int) -> int:
        """Begin with the first `wanted` tokens of another sequence, which share its cells; how many it has then."""
        self.clear()
        self.context.share(source.number, self.number, wanted)
        if not self._window_is_there(wanted):
            self.context.forget(self.number)
            return 0
        self.tokens = source.tokens[:wanted]
        self._taken = source._taken[:wanted]
        self._cells.share(self._taken)
        return wanted

    def grow(self, tokens: list[int]) -> None:
        """These were computed."""
        if len(self.tokens) == self.regular and len(tokens) == PIECE:
            self.regular += PIECE
        self._taken += self._cells.take(len(tokens))
        self.tokens += tokens

    def undo(self) -> None:
        """A computation was broken off: forget what it may have left behind the tokens."""
        if not self.context.forget(self.number, len(self.tokens)):
            self.context.forget(self.number)
            self._shorten(0)

    def restored(self, tokens: list[int]) -> None:
        """The context's memory was filled from elsewhere with these tokens."""
        self._shorten(0)
        self._taken = self._cells.take(len(tokens))
        self.tokens = tokens

    def _shorten(self, wanted: int) -> None:
        self._cells.leave(self._taken[wanted:])
        del self._taken[wanted:], self.tokens[wanted:]
        self.regular = min(self.regular, wanted // PIECE * PIECE)

    def _window_is_there(self, position: int) -> bool:
        """Whether layers with a sliding window still hold all that a token at `position` looks back on.

        They drop what has left the window, so after going back there may be too little (or nothing: -1) before it.
        """
        if not self._window:
            return True
        return 0 <= self.context.first_position(self.number) <= max(0, position - self._window + 1)


def common_length(known: Tokens[int], prompt: Tokens[int]) -> int:
    """How many tokens at the beginning are equal."""
    shorter = min(len(known), len(prompt))
    if known[:shorter] == prompt[:shorter]:
        return shorter
    low, high = 0, shorter  # equal up to low, different within high
    while high - low > 1:
        middle = (low + high) // 2
        if known[low:middle] == prompt[low:middle]:
            low = middle
        else:
            high = middle
    return low
