"""Whether both models read the text as the same tokens: only then can their probabilities be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas_validate.windows import Tokens

_SHOWN = 8
"""Tokens shown from the first difference on."""


@frozen(kw_only=True)
class TokenDifference:
    """Where two tokenizations of one text part."""

    position: int
    """Index of the first token that differs."""
    tokens: int
    original_tokens: int
    """How many tokens each makes of the whole text."""
    before: str
    """The text that both read alike, its end."""
    candidate_ids: tuple[int, ...]
    original_ids: tuple[int, ...]
    """The tokens from `position` on, the first few of them."""
    candidate_pieces: tuple[str, ...]
    original_pieces: tuple[str, ...]
    """Their texts."""
    prefix_differs: bool = False
    """One vocabulary puts something before a text that the other does not."""

    @property
    def sentence(self) -> str:
        if self.prefix_differs:
            return (
                f"Before a text the original puts the tokens {list(self.original_ids)}, the quantized "
                f"model {list(self.candidate_ids)}."
            )
        return (
            f"They part at token {self.position:,}, after {self.before!r}: the original reads "
            f"{_shown(self.original_ids, self.original_pieces)}, the quantized "
            f"model {_shown(self.candidate_ids, self.candidate_pieces)}."
        )


def first_difference(
    original: Session, original_tokens: Tokens, candidate: Session, candidate_tokens: Tokens
) -> TokenDifference | None:
    """The first place where both read the text as different tokens; None if there is none."""
    left, right = original_tokens.ids, candidate_tokens.ids
    if original_tokens.prefix != candidate_tokens.prefix:
        return TokenDifference(
            position=0,
            tokens=len(right),
            original_tokens=len(left),
            before="",
            candidate_ids=candidate_tokens.prefix,
            original_ids=original_tokens.prefix,
            candidate_pieces=(),
            original_pieces=(),
            prefix_differs=True,
        )
    common = min(len(left), len(right))
    differing = np.flatnonzero(left[:common] != right[:common])
    if not len(differing) and len(left) == len(right):
        return None
    position = int(differing[0]) if len(differing) else common
    left_ids = [int(token) for token in left[position : position + _SHOWN]]
    right_ids = [int(token) for token in right[position : position + _SHOWN]]
    return TokenDifference(
        position=position,
        tokens=len(right),
        original_tokens=len(left),
        before=original.detokenize([int(token) for token in left[max(0, position - _SHOWN) : position]]),
        candidate_ids=tuple(right_ids),
        original_ids=tuple(left_ids),
        candidate_pieces=tuple(candidate.detokenize([token]) for token in right_ids),
        original_pieces=tuple(original.detokenize([token]) for token in left_ids),
    )


def _shown(ids: tuple[int, ...], pieces: tuple[str, ...]) -> str:
    if not ids:
        return "nothing more"
    return " ".join(f"{piece!r} ({token})" for token, piece in zip(ids[:3], pieces[:3], strict=True))
