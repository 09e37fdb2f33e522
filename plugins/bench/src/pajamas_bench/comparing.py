"""Two sets of figures, one against the other: what changed, and what only seems to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pajamas_bench.metrics import METRICS
from pajamas_bench.results import CandidateResult, Change, Figure, Status, Verdict
from pajamas_bench.statistics import geometric_mean, paired_noise, unpaired_noise


def compare(
    baseline: CandidateResult, measured: CandidateResult, *, paired: bool, limit: float | None = None
) -> tuple[Change, ...]:
    """Every metric that both have, in the order of `measured`.

    Args:
        paired: both were measured by turns, so that what disturbed one run has disturbed its neighbour too.
        limit: per cent by which a metric may be worse.
    """
    common = list(_common(baseline, measured))
    return tuple(change(case, old, new, paired=paired, limit=limit, together=len(common)) for case, old, new in common)


def change(
    case: str | None, old: Figure, new: Figure, *, paired: bool, limit: float | None = None, together: int = 1
) -> Change:
    """A difference inside the noise is "equal", and "unresolved" where it is worse by more than `limit`: it may be
    either. A regression is one beyond both. Where one run leaves the noise unknown, the difference alone counts.

    Args:
        together: how many figures are compared: that none of them is called different by chance has 95 % certainty.
    """
    before, after = (geometric_mean(figure.values) for figure in (old, new))
    if before is None or after is None:
        before, after = old.median, new.median
    factor = after / before if before else 1.0
    delta = 100 * (factor - 1)
    found = (paired_noise if paired else unpaired_noise)(old.values, new.values, together)
    worse = delta < 0 if METRICS[new.metric].more_is_better else delta > 0
    beyond = limit is not None and worse and abs(delta) > limit
    verdict: Verdict = "worse" if worse else "better"
    if delta == 0 or (found is not None and _inside(factor, found)):
        verdict = "unresolved" if beyond else "equal"
    elif found is None:
        verdict = "unknown"
    return Change(
        case=case,
        metric=new.metric,
        baseline=before,
        measured=after,
        delta=delta,
        noise=found,
        verdict=verdict,
        regression=beyond and verdict != "unresolved",
    )


def status(changes: Sequence[Change]) -> Status:
    """A regression is "fail"; "unresolved" is what may be one: more runs may tell."""
    if any(change.regression for change in changes):
        return "fail"
    return "unresolved" if any(change.verdict == "unresolved" for change in changes) else "pass"


def _inside(ratio: float, noise: float) -> bool:
    return 1 / (1 + noise) <= ratio <= 1 + noise


def _common(baseline: CandidateResult, measured: CandidateResult) -> Iterator[tuple[str | None, Figure, Figure]]:
    yield None, baseline.load, measured.load
    yield None, baseline.peak_memory, measured.peak_memory
    for case in measured.cases:
        old_case = baseline.case(case.key)
        for new in case.figures if old_case else ():
            old = old_case.figure(new.metric) if old_case else None
            if old is not None:
                yield case.name, old, new
