"""Two sets of figures, one against the other: what changed, and what only seems to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pajamas_bench.metrics import METRICS
from pajamas_bench.results import CandidateResult, Change, Figure, Status, Verdict
from pajamas_bench.statistics import paired_noise, ratio, unpaired_noise


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
    """A difference inside the noise is "equal". A regression is one beyond `limit`; whether it is
    surely one, the verdict tells. Where one run leaves the noise unknown, the difference alone counts.

    Args:
        together: how many figures are compared: that none of them is called different by chance has 95 % certainty.
    """
    factor = ratio(old.values, new.values) or 1.0
    delta = 100 * (factor - 1)
    found = (paired_noise if paired else unpaired_noise)(old.values, new.values, together)
    worse = delta < 0 if METRICS[new.metric].more_is_better else delta > 0
    verdict: Verdict = "worse" if worse else "better"
    if delta == 0 or (found is not None and _inside(factor, found)):
        verdict = "equal"
    elif found is None:
        verdict = "unknown"
    return Change(
        case=case,
        metric=new.metric,
        baseline=old.median,
        measured=new.median,
        delta=delta,
        noise=found,
        verdict=verdict,
        regression=limit is not None and worse and abs(delta) > limit,
    )


def status(changes: Sequence[Change]) -> Status:
    """A regression outside the noise is "fail", one inside it "unresolved": more runs may tell."""
    regressions = [change for change in changes if change.regression]
    if any(change.verdict != "equal" for change in regressions):
        return "fail"
    return "unresolved" if regressions else "pass"


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
