"""One sequence of tokens in the engine's memory, and what of it a next prompt can use again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas_gguf.session.context import Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence as Tokens

    from pajamas_gguf.session.context import Context

_CHUNK = 512


class Sequence:
    """`tokens` are those whose keys and values the context holds under this sequence's `number`."""

    def __init__(self, context: Context, number: int, sliding_window: int) -> None:
        self.context = context
        self.number = number
        self.tokens: list[int] = []
        self._window = sliding_window
        # Rounding depends on how tokens are grouped into batches. These first tokens were computed in whole chunks
        # that begin at multiples of the chunk's size, as a fresh session would: their values are the same to the bit.
        self._regular = 0

    def prefill(self, prompt: list[int], *, reuse: bool, exact: bool) -> int:
        """Compute a prompt's tokens, the last one with logits, and return how many were there already.

        :param exact: reuse only what makes no difference to the result, to the last bit.

        Raises:
            Stopped: cancelled between or within batches; what was computed stays.
            EngineError: the engine failed.
        """
        kept = self._keep(prompt, self._usable(prompt, exact=exact) if reuse else 0)
        if kept % _CHUNK or kept > self._regular:
            self._regular = min(self._regular, kept // _CHUNK * _CHUNK)
            regular = False
        else:
            self._regular, regular = kept, True
        context, position = self.context, kept
        size = max(context.batch.capacity // _CHUNK * _CHUNK, min(context.batch.capacity, _CHUNK))
        while position < len(prompt):
            chunk = prompt[position : position + size]
            last = position + len(chunk) == len(prompt)
            context.batch.clear()
            context.batch.add(chunk, position, self.number, outputs=int(last))
            self._compute(chunk)
            position += len(chunk)
            if regular and size % _CHUNK == 0:
                self._regular = position // _CHUNK * _CHUNK
        return kept

    def append(self, token: int) -> None:
        """Compute one more token, with logits."""
        self.context.batch.put_one(token, len(self.tokens), self.number)
        self.context.compute()
        self.tokens.append(token)

    def clear(self) -> None:
        self.context.forget(self.number)
        self.tokens = []
        self._regular = 0

    def restored(self, tokens: list[int]) -> None:
        """The context's memory was filled from elsewhere with these tokens."""
        self.tokens = tokens
        self._regular = 0

    def _compute(self, chunk: list[int]) -> None:
        if self.context.cancelled:
            raise Stopped
        before = len(self.tokens)
        try:
            self.context.compute_long()
        except BaseException:  # Ctrl-C and Stopped too: part of the chunk may be in the memory
            if not self.context.forget(self.number, before):
                self.clear()
            raise
        self.tokens += chunk

    def _usable(self, prompt: list[int], *, exact: bool) -> int:
        # The last token is always computed: its logits are wanted.
        common = min(_common(self.tokens, prompt), len(prompt) - 1)
        return min(common, self._regular) // _CHUNK * _CHUNK if exact else common

    def _keep(self, prompt: list[int], wanted: int) -> int:
        """Cut the memory back to `wanted` tokens, or to none where it cannot be cut there."""
        cut = wanted < len(self.tokens)
        if not wanted or (cut and not self.context.forget(self.number, wanted)) or not self._window_is_there(wanted):
            wanted = 0
            self.clear()
        del self.tokens[wanted:]
        return wanted

    def _window_is_there(self, position: int) -> bool:
        """Whether layers with a sliding window still hold all that a token at `position` looks back on.

        They drop what has left the window, so after going back there may be too little (or nothing: -1) before it.
        """
        if not self._window:
            return True
        return 0 <= self.context.first_position(self.number) <= max(0, position - self._window + 1)


def _common(known: Tokens[int], prompt: Tokens[int]) -> int:
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
