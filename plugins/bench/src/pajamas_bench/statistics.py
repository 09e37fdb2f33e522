"""Figures of repeated runs: pure functions of numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

CERTAINTY = 0.95
_WIDEST = 100.0  # e^100 is beyond any ratio, and no overflow


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, between neighbours linearly, as numpy's default does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def noise(values: Sequence[float]) -> float | None:
    """Half the 95 % interval of what the values are about, as a share of it; None where that cannot be told.

    Times vary by factors and not by seconds, so it is taken of their logarithms: t(n - 1) s / sqrt(n), and e^x - 1.
    """
    return _share(_half_width(_logarithms(values), 1))


def geometric_mean(values: Sequence[float]) -> float | None:
    """What the intervals here are about, of one sample or the ratio of two. None where a value is 0."""
    found = _logarithms(values)
    return math.exp(sum(found) / len(found)) if found else None


def paired_noise(baseline: Sequence[float], measured: Sequence[float], together: int = 1) -> float | None:
    """As `noise`, of measured over baseline, where both were measured by turns: the i-th of each stand side by side.

    Args:
        together: how many such intervals shall hold at once with 95 % certainty (Bonferroni): of twenty that are judged
            apart, one would be wrong.
    """
    if len(baseline) != len(measured) or not _positive(*baseline, *measured):
        return None
    return _share(_half_width([math.log(new / old) for old, new in zip(baseline, measured, strict=True)], together))


def unpaired_noise(baseline: Sequence[float], measured: Sequence[float], together: int = 1) -> float | None:
    """As `paired_noise`, where they were measured apart: both variances add up.

    The degrees of freedom are those of the smaller sample, fewer than Welch's: the interval is rather too wide.
    """
    samples = [_logarithms(baseline), _logarithms(measured)]
    if any(len(sample) < 2 for sample in samples):
        return None
    error = math.sqrt(sum(_variance(sample) / len(sample) for sample in samples))
    return _share(student(min(map(len, samples)) - 1, together) * error)


@functools.lru_cache(maxsize=64)
def student(freedom: int, together: int = 1) -> float:
    """Student's t that is exceeded, on either side, with a probability of 5 % over `together`."""
    wanted = 1 - (1 - CERTAINTY) / together
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # by bisection of the angle atan(t / sqrt(freedom)), which is bounded
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < wanted else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _inside(angle: float, freedom: int) -> float:
    """The probability of |t| < tan(angle) sqrt(freedom): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (step - 1) / step
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _positive(*values: float) -> bool:
    return all(value > 0 for value in values)


def _logarithms(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values] if _positive(*values) else []


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _half_width(values: Sequence[float], together: int) -> float | None:
    if len(values) < 2:
        return None
    return student(len(values) - 1, together) * math.sqrt(_variance(values) / len(values))


def _share(width: float | None) -> float | None:
    return None if width is None else math.expm1(min(width, _WIDEST))
