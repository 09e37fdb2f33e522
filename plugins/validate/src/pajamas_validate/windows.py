"""A text cut into windows as llama-perplexity cuts it, so that its figures and ours can be compared.

Source: `perplexity()` in llama.cpp's tools/perplexity/perplexity.cpp. The text is tokenized once, special tokens
written in it are plain text, windows follow each other without overlap, and what is left at the end is not used. Where
the vocabulary puts a BOS before a text, it replaces the first token of every window. The second half is scored, where
every token has half a window before it: rows `context // 2` to `context - 2` predict the tokens that follow them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from pajamas.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.session import Session

CONTEXT = 512
_SHORTEST = 4


@frozen(kw_only=True)
class Tokens:
    """A text as one vocabulary sees it."""

    ids: NDArray[np.int32] = field(eq=False)
    """[tokens], with what the vocabulary puts before a text, without what it puts behind."""
    prefix: tuple[int, ...] = ()
    """What the vocabulary puts before a text: the BOS, or nothing."""


@frozen(kw_only=True)
class Windows:
    """`count` windows of `context` tokens."""

    tokens: Tokens
    context: int
    count: int

    @property
    def available(self) -> int:
        """Windows that the whole text has."""
        return len(self.tokens.ids) // self.context

    @property
    def first(self) -> int:
        """The first row that is scored."""
        return self.context // 2

    @property
    def rows(self) -> int:
        """Scored tokens of a window."""
        return self.context - 1 - self.first

    def ids(self, number: int) -> list[int]:
        """The token ids that a session scores, `context` of them."""
        window = self._slice(number).copy()
        window[: len(self.tokens.prefix)] = self.tokens.prefix
        return [int(token) for token in window]

    def targets(self, number: int) -> NDArray[np.int32]:
        """The right token of each scored row, int32 [rows]."""
        return self._slice(number)[self.first + 1 :]

    @property
    def digest(self) -> str:
        """sha256 of everything that decides what is scored."""
        head = f"{self.context} {self.count} {list(self.tokens.prefix)}\n".encode()
        used = self.tokens.ids[: self.count * self.context]
        return hashlib.sha256(head + used.astype("<i4").tobytes()).hexdigest()

    def _slice(self, number: int) -> NDArray[np.int32]:
        return self.tokens.ids[number * self.context : (number + 1) * self.context]


def tokenize(session: Session, text: str) -> Tokens:
    """The text's token ids by this session's vocabulary."""
    prefix, suffix = _added(session)
    ids = np.array(session.tokenize(text, add_special=True, parse_special=False), np.int32)
    return Tokens(ids=ids[: len(ids) - len(suffix)], prefix=prefix)


def cut(tokens: Tokens, context: int = CONTEXT, limit: int | None = None) -> Windows:
    """The first `limit` windows (None: all) of `context` tokens.

    Raises:
        UsageError: the text has not one window, or the numbers make no sense.
    """
    check_shape(context, limit)
    available = len(tokens.ids) // context
    if not available:
        raise UsageError(
            f"The text is too short to measure with a context of {context:,} tokens.",
            f"It has {len(tokens.ids):,} tokens.",
            "Give a longer text, or a shorter context.",
        )
    return Windows(tokens=tokens, context=context, count=available if limit is None else min(limit, available))


def check_shape(context: int, limit: int | None) -> None:
    """Raises UsageError for a length or a number of windows that makes no sense."""
    if context < _SHORTEST:
        raise UsageError(f"A context of {context} tokens makes no sense.", f"It must be at least {_SHORTEST}.", "")
    if limit is not None and limit < 1:
        raise UsageError(
            f"{limit} windows make no sense.", "", "Ask for at least one, or leave the number out for all."
        )


def _added(session: Session) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the vocabulary puts before and behind a text, found by comparing a text with and without."""
    plain = session.tokenize("a", add_special=False, parse_special=False)
    whole = session.tokenize("a", add_special=True, parse_special=False)
    for start in range(len(whole) - len(plain) + 1):
        end = start + len(plain)
        if whole[start:end] == plain:
            return tuple(whole[:start]), tuple(whole[end:])
    return (), ()
