"""How far two distributions are from each other, token by token, and both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from pajamas_validate.divergence import not_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TILE = 1 << 18
"""Values worked on at once: few enough for the processor's cache."""


@frozen(kw_only=True)
class Rows:
    """One value a scored position, in order: [rows]."""

    forth: NDArray[np.float64] = field(eq=False)
    """KL divergence of the second from the first, in nats."""
    back: NDArray[np.float64] = field(eq=False)
    """Of the first from the second."""
    same_top: NDArray[np.bool_] = field(eq=False)
    """Both hold the same token for the most likely."""
    tied: NDArray[np.bool_] = field(eq=False)
    """They do not, but each has both tokens within its float noise of each other."""
    top_change: NDArray[np.float64] = field(eq=False)
    """Of the log-probability of the token that the first holds for the most likely, in nats."""

    def part(self, rows: slice) -> Rows:
        return Rows(
            forth=self.forth[rows], back=self.back[rows], same_top=self.same_top[rows], tied=self.tied[rows],
            top_change=self.top_change[rows],
        )  # fmt: skip


@frozen(kw_only=True)
class Distance:
    """Means over the scored positions."""

    rows: int
    forth: float
    """Mean KL divergence of the second from the first, in nats."""
    back: float
    largest: float
    """The largest of both, at one position."""
    agreement: float
    """Per cent of the positions with the same most likely token, ties counted."""
    same_top: float
    """Per cent without ties."""
    ties: int
    top_change: float
    """Largest change of the log-probability of a most likely token."""

    @property
    def mean(self) -> float:
        """The larger of the two means: what is judged."""
        return max(self.forth, self.back)


def compare(first: NDArray[np.float32], second: NDArray[np.float32], noise: float) -> Rows:
    """Rows of log-probabilities [rows, vocabulary], the vocabulary cut to what both have.

    The divergence is the generalised one, sum p log(p/q) - p + q (Csiszar's I-divergence), which equals the usual one
    for what sums to one, and forgives an engine whose own log-softmax is off by some float32 steps.

    Args:
        noise: two log-probabilities nearer than this, in nats, are tied.

    Raises:
        EngineError: a value is not a number.
    """
    size = min(first.shape[1], second.shape[1])
    first, second = first[:, :size], second[:, :size]
    count = len(first)
    forth, back = np.empty(count), np.empty(count)
    step = max(1, _TILE // size)
    for start in range(0, count, step):
        here = slice(start, start + step)
        forth[here], back[here] = _divergences(first[here].astype(np.float64), second[here].astype(np.float64))
    if np.isnan(forth).any() or np.isnan(back).any():
        raise not_numbers()
    row = np.arange(count)
    left, right = first.argmax(axis=1), second.argmax(axis=1)
    same = left == right
    gaps = np.maximum(first[row, left] - first[row, right], second[row, right] - second[row, left])
    return Rows(
        forth=forth,
        back=back,
        same_top=same,
        tied=~same & (gaps <= noise),
        top_change=np.abs(first[row, left].astype(np.float64) - second[row, left]),
    )


def join(parts: list[Rows]) -> Rows:
    return Rows(
        forth=np.concatenate([part.forth for part in parts]),
        back=np.concatenate([part.back for part in parts]),
        same_top=np.concatenate([part.same_top for part in parts]),
        tied=np.concatenate([part.tied for part in parts]),
        top_change=np.concatenate([part.top_change for part in parts]),
    )


def summarize(rows: Rows) -> Distance:
    count = len(rows.forth)
    ties = int(rows.tied.sum())
    return Distance(
        rows=count,
        forth=float(rows.forth.mean()),
        back=float(rows.back.mean()),
        largest=float(max(rows.forth.max(), rows.back.max())),
        agreement=100 * (int(rows.same_top.sum()) + ties) / count,
        same_top=100 * int(rows.same_top.sum()) / count,
        ties=ties,
        top_change=float(rows.top_change.max()),
    )


def _divergences(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, q = np.exp(first), np.exp(second)
    with np.errstate(invalid="ignore"):
        difference = first - second
        difference[np.isneginf(first) & np.isneginf(second)] = 0.0  # impossible for both
        forth, back = p * difference, -q * difference
    forth[p == 0.0] = 0.0  # 0 log 0 is 0, whatever the other says
    back[q == 0.0] = 0.0
    rest = (q - p).sum(axis=1)
    # Rounding leaves a hair below nothing.
    return np.maximum(forth.sum(axis=1) + rest, 0.0), np.maximum(back.sum(axis=1) - rest, 0.0)
