"""Figures of repeated runs: pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom (any table of it); beyond, the normal one's.
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.96


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
    return _share(_half_width(_logarithms(values)))


def paired_noise(baseline: Sequence[float], measured: Sequence[float]) -> float | None:
    """As `noise`, of measured over baseline, where both were measured by turns: the i-th of each stand side by side."""
    if len(baseline) != len(measured) or not _positive(*baseline, *measured):
        return None
    return _share(_half_width([math.log(new / old) for old, new in zip(baseline, measured, strict=True)]))


def unpaired_noise(baseline: Sequence[float], measured: Sequence[float]) -> float | None:
    """As `noise`, of measured over baseline, where they were measured apart: both variances add up.

    The degrees of freedom are those of the smaller sample, fewer than Welch's: the interval is rather too wide.
    """
    samples = [_logarithms(baseline), _logarithms(measured)]
    if any(len(sample) < 2 for sample in samples):
        return None
    error = math.sqrt(sum(_variance(sample) / len(sample) for sample in samples))
    return _share(_student(min(map(len, samples)) - 1) * error)


def _positive(*values: float) -> bool:
    return all(value > 0 for value in values)


def _logarithms(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values] if _positive(*values) else []


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _half_width(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    return _student(len(values) - 1) * math.sqrt(_variance(values) / len(values))


def _student(freedom: int) -> float:
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL


def _share(width: float | None) -> float | None:
    return None if width is None else math.expm1(width)
