"""From timed answers to the figures of a case: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from pajamas_bench.cases import Case
from pajamas_bench.messages import Answer, Run
from pajamas_bench.metrics import (
    FIRST_TOKEN,
    GENERATION_SPEED,
    LATENCY,
    LATENCY_99,
    PROMPT_SPEED,
    TOTAL,
)
from pajamas_bench.results import CaseResult, Figure
from pajamas_bench.statistics import median, noise, percentile


def figure(metric: str, values: Sequence[float]) -> Figure:
    return Figure(
        metric=metric,
        values=tuple(values),
        median=median(values),
        low=min(values),
        high=max(values),
        noise=noise(values),
    )


def case_result(case: Case, runs: Sequence[Run], *, queued: bool = False, ceiling: float | None = None) -> CaseResult:
    """All figures of a case; a metric that some run lacks is left out."""
    measured = [values_together(run) if case.concurrency else values_alone(run.answers[0]) for run in runs]
    names = [name for name in measured[0] if all(name in values for values in measured)]
    first = runs[0].answers[0]
    difference = disagreement(runs)
    return CaseResult(
        name=case.name,
        asked=case.asked,
        answer_tokens=case.answer_tokens,
        prompt_tokens=first.prompt_tokens,
        generated=len(first.token_ids),
        figures=tuple(figure(name, [values[name] for values in measured]) for name in names),
        context_full=any(
            answer.finish_reason == "length" and len(answer.token_ids) < case.answer_tokens
            for answer in runs[0].answers
        ),
        concurrency=case.concurrency,
        queued=queued,
        agree=None if len(runs) < 2 else difference is None,
        disagreement=difference,
        text=first.text,
        latencies=() if case.concurrency else typical_latencies([run.answers[0].gaps for run in runs]),
        ceiling=ceiling,
    )


def values_alone(answer: Answer) -> dict[str, float]:
    """The metrics of a request that had the model to itself."""
    found: dict[str, float] = {}
    if answer.first_token is not None:
        found[FIRST_TOKEN.name] = answer.first_token
    computed = answer.prompt_tokens - answer.cached_tokens
    # The first token ends the prompt, unless others came with it.
    seconds = answer.prompt_seconds or (answer.first_token if answer.first_tokens == 1 else None)
    if computed and seconds:
        found[PROMPT_SPEED.name] = computed / seconds
    if speed := _generation_speed(answer):
        found[GENERATION_SPEED.name] = speed
    return found | _latencies(answer.gaps) | {TOTAL.name: answer.total}


def values_together(run: Run) -> dict[str, float]:
    """The metrics of requests at once. Generation is that of all, from the first request to the end of the last."""
    found: dict[str, float] = {}
    firsts = [answer.first_token for answer in run.answers if answer.first_token is not None]
    if firsts:
        found[FIRST_TOKEN.name] = median(firsts)
    found[GENERATION_SPEED.name] = sum(len(answer.token_ids) for answer in run.answers) / run.seconds
    gaps = [gap for answer in run.answers for gap in answer.gaps]
    return found | _latencies(gaps) | {TOTAL.name: run.seconds}


def _generation_speed(answer: Answer) -> float | None:
    """Tokens after the first ones, over the time from those to the last."""
    if answer.gaps:
        elapsed = sum(answer.gaps)
        return len(answer.gaps) / elapsed if elapsed else None
    rest = len(answer.token_ids) - 1
    return rest / answer.generation_seconds if rest > 0 and answer.generation_seconds else None


def _latencies(gaps: Sequence[float]) -> dict[str, float]:
    return {LATENCY.name: median(gaps), LATENCY_99.name: percentile(gaps, 0.99)} if gaps else {}


def typical_latencies(runs: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The median over the runs at each place, as far as all of them go."""
    return tuple(median(values) for values in zip(*runs, strict=False))


def disagreement(runs: Sequence[Run]) -> str | None:
    """The first run whose answers are other tokens than the first run's; None if all agree."""
    for number, run in enumerate(runs[1:], 2):
        for first, other in zip(runs[0].answers, run.answers, strict=True):
            if first.token_ids != other.token_ids:
                return f"run {number} differs from run 1 {_place(first.token_ids, other.token_ids)}"
    return None


def _place(one: Sequence[int], other: Sequence[int]) -> str:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return f"from token {index + 1} on"
    return f"in length: {len(other)} tokens, not {len(one)}"
