"""Pass, fail or unresolved: measured differences against what a profile accepts.

A figure whose 95 % interval has its threshold inside is unresolved, and how many windows more would resolve it follows
from the interval shrinking with the root of their number.

Perplexity alone does not even order the schemes on a small sample, so the divergence decides with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Literal

from attrs import field, frozen

from pajamas.errors import PajamasError, Unresolved, UsageError, ValidationFailed
from pajamas.profiles import Profile
from pajamas_validate.estimate import Estimate
from pajamas_validate.hooks import KLD, PERPLEXITY
from pajamas_validate.statistics import Comparison

Status = Literal["pass", "fail", "unresolved", "measured"]

_MOST_WINDOWS = 1_000_000
"""More than any text has: a difference that would need them is not resolved by more windows."""


@frozen(kw_only=True)
class Thresholds:
    """What is accepted; None judges nothing."""

    increase: float | None = None
    """Of the perplexity, in per cent."""
    divergence: float | None = None
    """Mean KL divergence, in nats."""

    @classmethod
    def of(
        cls, profile: Profile | None, *, increase: float | None = None, divergence: float | None = None
    ) -> Thresholds:
        """The profile's, each replaced by the one that is given.

        Raises:
            UsageError: a given one is no number, or negative.
        """
        for name, value in (("perplexity increase", increase), ("mean KL divergence", divergence)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"A threshold of {value} for the {name} makes no sense.", "", "Give a number from 0.")
        return cls(
            increase=increase if increase is not None else profile.threshold if profile else None,
            divergence=divergence if divergence is not None else profile.divergence if profile else None,
        )


@frozen(kw_only=True)
class Judgement:
    """One figure against its threshold."""

    figure: str
    value: float
    margin: float
    """Half the width of the interval that holds the true value in 95 of 100 samples."""
    threshold: float
    unit: str
    status: Status
    windows_needed: int | None = None
    """Of this text, in all, for an unresolved one; None if no number of windows that anybody has would do."""

    @property
    def sentence(self) -> str:
        limit = f"{self.threshold:g}{self.unit}"
        interval = f"{_plain(self.value, 3)} ± {_plain(self.margin, 2)}{self.unit} (95 %)"
        sides = {"pass": "is below", "fail": "is above", "unresolved": "may be on either side of"}
        return f"{self.figure}: {interval} {sides[self.status]} {limit}."


@frozen(kw_only=True)
class Verdict:
    status: Status
    judgements: tuple[Judgement, ...] = ()
    thresholds: Thresholds = field(factory=Thresholds)
    windows: int
    more_windows: int | None = None
    """How many more would resolve it, for an unresolved verdict; None if no number that anybody has would do, or if
    there is one window only, which does not tell how much windows differ."""
    available: int | None = None
    """Windows that the text has."""

    @property
    def line(self) -> str:
        """As it is printed after "Status:"."""
        if self.status == "measured":
            return "measured, not judged (no threshold)"
        if self.status == "unresolved":
            return f"unresolved: {self.advice}"
        sign = "<" if self.status == "pass" else ">"
        limits = [_limit(judgement, sign) for judgement in self._decisive]
        return f"{self.status.upper()} ({', '.join(limits)})"

    @property
    def advice(self) -> str:
        if self.windows == 1:
            return "use more windows: one does not tell how much they differ"
        if self.more_windows is None:
            return "the difference is too close to the threshold for any number of windows"
        total = self.windows + self.more_windows
        if self.available is not None and total > self.available:
            if self.windows < self.available:
                return f"use all {self.available:,} windows of the text"
            return f"use a longer text: about {total:,} windows are needed, and this one has {self.available:,}"
        return f"use {self.more_windows:,} more window{'s' if self.more_windows != 1 else ''}"

    @property
    def error(self) -> PajamasError | None:
        """What a command ends with: exit code 5 for a failure, 6 for what the sample cannot tell."""
        sentences = " ".join(judgement.sentence for judgement in self._decisive)
        if self.status == "fail":
            fix = "Use a scheme with more bits, or set another threshold."
            return ValidationFailed("The quantized model failed its threshold.", sentences, fix)
        if self.status == "unresolved":
            what = f"{self.windows:,} window{'s are' if self.windows != 1 else ' is'} too few to judge."
            return Unresolved(what, sentences, self.advice[0].upper() + self.advice[1:] + ".")
        return None

    @property
    def _decisive(self) -> list[Judgement]:
        return [judgement for judgement in self.judgements if judgement.status == self.status]


INCREASE, DIVERGENCE = "Perplexity increase", "Mean KL divergence"


def judge(
    comparison: Comparison | None,
    thresholds: Thresholds,
    windows: int,
    metrics: Collection[str] = (PERPLEXITY, KLD),
    *,
    available: int | None = None,
) -> Verdict:
    """The verdict over all thresholds: one failure fails, and what is not resolved is never a pass.

    Args:
        metrics: those that were asked for decide.
        available: windows that the text has.
    """
    judgements = []
    if comparison is not None:
        if thresholds.increase is not None and PERPLEXITY in metrics:
            judgements.append(_judge(INCREASE, comparison.increase, thresholds.increase, " %", windows))
        if thresholds.divergence is not None and KLD in metrics:
            judgements.append(_judge(DIVERGENCE, comparison.divergence, thresholds.divergence, "", windows))
    status = _worst(judgement.status for judgement in judgements)
    open_ones = [judgement for judgement in judgements if judgement.status == "unresolved"]
    needed = [judgement.windows_needed for judgement in open_ones]
    more = max((count for count in needed if count is not None), default=0) - windows
    return Verdict(
        status=status,
        judgements=tuple(judgements),
        thresholds=thresholds,
        windows=windows,
        more_windows=None if status != "unresolved" or None in needed else max(1, more),
        available=available,
    )


def _judge(figure: str, estimate: Estimate, threshold: float, unit: str, windows: int) -> Judgement:
    margin = estimate.margin(windows)
    distance = abs(estimate.value - threshold)
    status: Status = "pass" if estimate.value < threshold else "fail"
    needed = None
    if not math.isfinite(estimate.value):
        margin = 0.0
    elif windows == 1 or distance <= margin:
        # One window cannot say how much windows differ, so it never decides.
        status = "unresolved"
        needed = _windows_needed(estimate, distance, windows) if windows > 1 else None
    return Judgement(
        figure=figure, value=estimate.value, margin=margin, threshold=threshold, unit=unit, status=status,
        windows_needed=needed,
    )  # fmt: skip


def _windows_needed(estimate: Estimate, distance: float, windows: int) -> int | None:
    """The smallest number whose margin is below the distance, if the errors shrink with the root of the number; None
    above a million."""

    def resolves(count: int) -> bool:
        return estimate.scaled(math.sqrt(windows / count)).margin(count) < distance

    low, high = windows, windows
    while not resolves(high):
        low, high = high, 2 * high
        if high > _MOST_WINDOWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if resolves(middle) else (middle, high)
    return high


def _plain(value: float, digits: int) -> str:
    """With so many digits that count; large numbers with all before the point, where %g writes 1e+01."""
    return f"{value:.0f}" if 10 ** (digits - 1) <= abs(value) < 1e15 else f"{value:.{digits}g}"


def _limit(judgement: Judgement, sign: str) -> str:
    if judgement.figure == INCREASE:
        return f"{sign} {judgement.threshold:g} %"
    return f"KLD {sign} {judgement.threshold:g}"


def _worst(statuses: Iterable[Status]) -> Status:
    found = set(statuses)
    order: tuple[Status, ...] = ("fail", "unresolved", "pass")
    return next((status for status in order if status in found), "measured")
