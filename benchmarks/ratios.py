"""Measurements by turns, and what they say against each other."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen


@frozen
class Timed:
    """One measurement: what it found (tokens per second, or seconds) and the CPU seconds of this process meanwhile."""

    value: float
    cpu: float


@frozen(kw_only=True)
class Ratio:
    """Of two ways to do the same, the median over rounds of the ratio within a round, and its least and greatest."""

    name: str
    value: float
    low: float
    high: float
    ours: float
    theirs: float
    unit: str
    cpu: float | None = None
    """The same by CPU time, which other programs disturb less; None where more than this process works."""
    reach: str = ""
    """The figure to be reached, with its sign: ">= 0.98"."""

    @property
    def reached(self) -> bool | None:
        """None where nothing has to be."""
        if not self.reach:
            return None
        sign, limit = self.reach.split()
        return self.value >= float(limit) if sign == ">=" else self.value <= float(limit)


def by_turns(ways: Mapping[str, Callable[[], float]], rounds: int, *, warm: bool = True) -> dict[str, list[Timed]]:
    """Each way once a round, in another order each time, so that whatever else the machine does meets all of them."""
    if warm:
        for way in ways.values():
            way()
    found: dict[str, list[Timed]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for name in order:
            before = time.process_time()
            value = ways[name]()
            found[name].append(Timed(value, time.process_time() - before))
            sys.stderr.write(f"round {number + 1}: {name} {value:.3f}\n")
    return found


def ratio(
    name: str,
    ours: Sequence[Timed],
    theirs: Sequence[Timed],
    *,
    unit: str = "tokens/s",
    work: float | None = None,
    reach: str = "",
) -> Ratio:
    """Ours over theirs, which were measured in the same rounds.

    :param work: how many times theirs ours does, for the ratio by CPU time; None leaves that out.
    """
    pairs = list(zip(ours, theirs, strict=True))
    ratios = [one.value / other.value for one, other in pairs]
    return Ratio(
        name=name,
        value=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        ours=statistics.median(one.value for one in ours),
        theirs=statistics.median(one.value for one in theirs),
        unit=unit,
        cpu=work and statistics.median(work * other.cpu / one.cpu for one, other in pairs),
        reach=reach,
    )


def table(ratios: Sequence[Ratio]) -> str:
    """As Markdown."""
    rows = ["| measured | pajamas | against | ratio | least to greatest | by CPU time | reach |", "|" + 7 * "---|"]
    for one in ratios:
        mark = {True: " ✓", False: " missed", None: ""}[one.reached]
        rows.append(
            f"| {one.name} | {one.ours:.2f} {one.unit} | {one.theirs:.2f} {one.unit} | {one.value:.3f} | "
            f"{one.low:.3f} to {one.high:.3f} | {'' if one.cpu is None else f'{one.cpu:.3f}'} | {one.reach}{mark} |"
        )
    return "\n".join(rows) + "\n"
