"""What two models read a text as, found out while the first windows are scored.

A long text takes a tokenizer some tenths of a second on one core, which is as long as a small model takes for many
windows. So the text's beginning is tokenized by itself, and its windows are scored meanwhile. They count if the whole
text begins with the same tokens, and are scored again if not.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from pajamas.types import Feature
from pajamas_validate.agreement import TokenDifference, first_difference
from pajamas_validate.vocabulary import VocabularyDifference, vocabulary_difference
from pajamas_validate.windows import Tokens, Windows, tokenize

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas_validate.scores import WindowScores

_BEGINNING = 1 << 16
"""Characters: a twentieth of the usual text, and more windows than are scored meanwhile."""
_LONG = 4 * _BEGINNING
"""A shorter text is read at once."""

Score = Callable[[Windows, Callable[[], bool]], list["WindowScores"]]
"""Scores windows in order until the function says that it is enough."""


@frozen(kw_only=True, eq=False)
class Reading:
    tokens: Tokens
    """The candidate's."""
    difference: TokenDifference | VocabularyDifference | None = None
    """Where the original reads the text otherwise, or has another vocabulary."""


def read(candidate: Session, original: Session | None, text: str) -> Reading:
    """The text by both models; `original` is not asked where there is none."""
    if original is None:
        return Reading(tokens=tokenize(candidate, text))
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(tokenize, original, text)
        tokens = tokenize(candidate, text)
    difference = first_difference(original, theirs.result(), candidate, tokens)
    return Reading(tokens=tokens, difference=difference or vocabulary_difference(original, candidate))


def read_and_score(
    candidate: Session, original: Session | None, text: str, context: int, limit: int | None, score: Score
) -> tuple[Reading, list[WindowScores]]:
    """As `read`, with the scores of the first windows, as many as were done meanwhile.

    None are for a short text, sessions that are not for several threads, or a beginning that is not read alike.
    """
    able = all(Feature.PARALLEL in session.features for session in (candidate, original) if session is not None)
    if not able or len(text) < _LONG:
        return read(candidate, original, text), []
    with ThreadPoolExecutor(1) as reader:
        whole: Future[Reading] = reader.submit(read, candidate, original, text)
        tokens = tokenize(candidate, text[:_BEGINNING])
        # Its last tokens depend on what comes after them.
        count = max(0, len(tokens.ids) // context - 1)
        windows = Windows(tokens=tokens, context=context, count=min(count, limit or count))
        alike = original is None or np.array_equal(tokenize(original, text[:_BEGINNING]).ids, tokens.ids)
        scores = score(windows, whole.done) if count and alike else []
    reading = whole.result()
    used = len(scores) * context
    same = reading.tokens.prefix == tokens.prefix and np.array_equal(reading.tokens.ids[:used], tokens.ids[:used])
    return reading, scores if same else []
