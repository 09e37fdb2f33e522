"""Distances of pairs of sessions over windows of a text, and by depth into one longer piece of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.progress import NO_PROGRESS, Progress
from pajamas_validate.equivalence.distance import Distance, join, summarize
from pajamas_validate.equivalence.lockstep import Pair, score_pairs
from pajamas_validate.windows import cut, tokenize

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas_validate.equivalence.distance import Rows
    from pajamas_validate.windows import Tokens

_SHORTEST = 4
"""Tokens of the shortest text that has a window."""
_STEP = 4
"""From one depth to the next."""


@frozen(kw_only=True)
class Depth:
    """Positions with `tokens` tokens before them and more, up to the next depth."""

    tokens: int
    distance: Distance


@frozen(kw_only=True)
class Figures:
    """Of one pair."""

    distance: Distance
    """Over the second halves of the windows."""
    depths: tuple[Depth, ...] = ()
    """Of pairs that are measured by depth too."""

    @property
    def worst(self) -> float:
        """The largest mean divergence, over the windows or at a depth, in nats."""
        return max([self.distance.mean, *(depth.distance.mean for depth in self.depths)])


def measure(
    sessions: Mapping[str, Session],
    pairs: Mapping[Pair, float],
    text: str,
    *,
    context: int,
    windows: int | None,
    deep: Collection[Pair] = (),
    deepest: int = 2048,
    progress: Progress = NO_PROGRESS,
) -> dict[Pair, Figures]:
    """All pairs on the same token ids: the first session's, whatever the others make of the text.

    Args:
        pairs: keys of sessions to the noise within which tokens are tied, in nats.
        context: tokens of a window; fewer where the text or a session has fewer.
        windows: how many of the text's windows; None is all.
        deep: those of the pairs that are measured by depth too.
        deepest: tokens of the piece that is scored for that from its beginning; fewer where there are fewer.

    Raises:
        UsageError: the text is too short to have a window, or the numbers make no sense.
        EngineError: what a session computes is no log-probabilities.
    """
    if not pairs:
        return {}
    tokens = tokenize(next(iter(sessions.values())), text)
    shortest = min(session.context_length for session in sessions.values())
    chosen = cut(tokens, min(context, shortest, max(len(tokens.ids), _SHORTEST)), windows)
    rows: dict[Pair, list[Rows]] = {pair: [] for pair in pairs}
    with progress.stage("Comparing", chosen.count + 1, "windows") as stage:
        for number in range(chosen.count):
            for pair, found in score_pairs(sessions, pairs, chosen.ids(number), chosen.first).items():
                rows[pair].append(found)
            stage.advance(1)
        beginning = _beginning(tokens, min(deepest, shortest))
        by_depth = score_pairs(sessions, {pair: pairs[pair] for pair in deep}, beginning, 0)
        stage.advance(1)
    return {
        pair: Figures(distance=summarize(join(found)), depths=_by_depth(by_depth[pair]) if pair in by_depth else ())
        for pair, found in rows.items()
    }


def _beginning(tokens: Tokens, length: int) -> list[int]:
    ids = [int(token) for token in tokens.ids[:length]]
    ids[: len(tokens.prefix)] = tokens.prefix
    return ids


def _by_depth(rows: Rows) -> tuple[Depth, ...]:
    """Row 0 has one token before what it predicts."""
    found, begin = [], 1
    while begin <= len(rows.forth):
        found.append(Depth(tokens=begin, distance=summarize(rows.part(slice(begin - 1, begin * _STEP - 1)))))
        begin *= _STEP
    return tuple(found)
