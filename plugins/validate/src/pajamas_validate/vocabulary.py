"""Whether two models have the same vocabulary and read texts alike: beyond the text that is measured, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from pajamas_validate.equivalence.corpus import texts
from pajamas_validate.equivalence.reading import compare_tokens

if TYPE_CHECKING:
    from pajamas.session import Session

_BLOCK = 64


@frozen(kw_only=True)
class VocabularyDifference:
    """What one model reads or writes otherwise than the other."""

    position: int
    """The first token id with another text, or the place in a text."""
    sentence: str


def vocabulary_difference(original: Session, candidate: Session) -> VocabularyDifference | None:
    """The first token with another text, or the first of a set of tricky texts that is split otherwise.

    None where there is none, and for sessions of two backends: engines differ in how they write single tokens, and
    comparing them is what `--equivalence` is for.
    """
    if original.backend != candidate.backend:
        return None
    for ids in _blocks(original, candidate):
        if original.detokenize(ids) == candidate.detokenize(ids):
            continue
        for token in ids:
            mine, other = candidate.detokenize([token]), original.detokenize([token])
            if mine != other:
                sentence = f"Token {token:,} is {other!r} for the original and {mine!r} for the quantized model."
                return VocabularyDifference(position=token, sentence=sentence)
    for difference in compare_tokens({"the original": original, "the quantized model": candidate}, texts()):
        return VocabularyDifference(position=difference.position, sentence=difference.sentence)
    return None


def _blocks(original: Session, candidate: Session) -> list[list[int]]:
    """All token ids that both have."""
    sizes = [session.architecture.vocab_size for session in (original, candidate)]
    count = min((size for size in sizes if size), default=0)
    return [list(range(start, min(start + _BLOCK, count))) for start in range(0, count, _BLOCK)]
