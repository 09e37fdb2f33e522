"""A result in the rows that a person reads: on a terminal, in Markdown and in the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from pajamas_bench.metrics import (
    FIRST_TOKEN,
    GENERATION_SPEED,
    LATENCY,
    LATENCY_99,
    METRICS,
    PROMPT_SPEED,
    TOTAL,
    Metric,
    shown,
    with_noise,
)
from pajamas_bench.results import BenchmarkResult, CandidateResult, CaseResult, Change, Figure, Machine

COLUMNS = ("case", "tokens", "first token", "prompt t/s", "tokens/s", "latency", "99 %", "total", "of ceiling", "runs")
_METRICS = (FIRST_TOKEN, PROMPT_SPEED, GENERATION_SPEED, LATENCY, LATENCY_99, TOTAL)
CHANGE_COLUMNS = ("metric", "baseline", "pajamas", "delta")
STATUS_LINES: Mapping[str, str] = {
    "pass": "PASS (nothing is worse by more than {limit:g} %)",
    "fail": "FAIL (worse by more than {limit:g} %)",
    "unresolved": "unresolved (worse by more than {limit:g} %, but inside the noise: repeat it more often)",
}


@frozen(kw_only=True)
class Row:
    """A change in words."""

    metric: str
    baseline: str
    pajamas: str
    delta: str
    """"+3.1 % ±2%, better", "-0.4 % ±2%, equal"."""
    verdict: str
    regression: bool


def rows(candidate: CandidateResult) -> list[tuple[str, ...]]:
    """A row a case, as `COLUMNS` says."""
    return [_row(case) for case in candidate.cases]


def change_rows(result: BenchmarkResult) -> list[Row]:
    return [
        Row(
            metric=_metric_label(change.metric, change.case),
            baseline=shown(METRICS[change.metric], change.baseline),
            pajamas=shown(METRICS[change.metric], change.measured),
            delta=delta_text(change),
            verdict=change.verdict,
            regression=change.regression,
        )
        for change in result.changes
    ]


def comparison_title(result: BenchmarkResult) -> str:
    return f"Against {result.baseline}: geometric means of the runs"


def figure_rows(result: BenchmarkResult) -> list[Row]:
    """Every figure of the candidate that is no baseline, in the columns of a comparison; without one two stay empty."""
    if result.changes:
        return change_rows(result)
    candidate = result.candidates[-1]
    return [
        Row(
            metric=_metric_label(figure.metric, case),
            baseline="",
            pajamas=with_noise(shown(METRICS[figure.metric], figure.median), figure.noise),
            delta="",
            verdict="",
            regression=False,
        )
        for case, figure in _figures(candidate)
    ]


def facts(candidate: CandidateResult) -> list[tuple[str, str]]:
    """What holds for all cases of a model: label and text."""
    engine = f"{candidate.engine} {candidate.engine_version or ''}".strip()
    options = ", ".join(f"{name} {value}" for name, value in candidate.options.items())
    found = [
        ("Backend", f"{candidate.backend} ({engine}), {candidate.device}"),
        ("Load", _with_range(METRICS["load"], candidate.load)),
        ("Peak memory", f"{shown(METRICS['peak-memory'], candidate.peak_memory.median)} of its process"),
    ]
    if candidate.memory.total:
        parts = ", ".join(
            f"{label} {shown(METRICS['peak-memory'], count)}"
            for label, count in (
                ("weights", candidate.memory.weights),
                ("KV cache", candidate.memory.kv_cache),
                ("compute", candidate.memory.compute),
            )
        )
        found.append(("Of the engine", f"{parts}; context {candidate.context_length:,}"))
    return found + ([("Options", options)] if options else [])


def ceiling_line(result: BenchmarkResult, candidate: CandidateResult) -> str | None:
    """What the ceiling is, in a sentence; None where none is given."""
    best = max((case.ceiling for case in candidate.cases if case.ceiling), default=None)
    if best is None:
        return None
    per_token = shown(METRICS["peak-memory"], candidate.weights_per_token)
    context = f" and {candidate.kv_per_token / 1000:.3g} kB a token of context" if candidate.kv_per_token else ""
    bandwidth = f"{result.machine.bandwidth_all / 1e9:.1f} GB/s"
    return f"{bandwidth} of memory over {per_token} a token{context}: at most {best:,.0f} tokens/s"


def machine_line(machine: Machine) -> str:
    return (
        f"{machine.processor}, {machine.processors} processors, {machine.memory / 1e9:.0f} GB; reads "
        f"{machine.bandwidth_one / 1e9:.1f} GB/s with one thread, {machine.bandwidth_all / 1e9:.1f} with all; "
        f"{machine.system}"
    )


def agreement_lines(candidate: CandidateResult) -> list[tuple[str, str]]:
    """Whether repeated runs gave the same tokens, case by case: the case and a sentence."""
    return [(case.name, agreement(case)) for case in candidate.cases]


def agreement(case: CaseResult) -> str:
    if case.agree is None:
        return "one run only"
    return "all runs agree" if case.agree else f"{case.disagreement}"


def status_line(result: BenchmarkResult) -> str | None:
    line = STATUS_LINES.get(result.status)
    return line.format(limit=result.max_regression) if line else None


def cell(case: CaseResult, metric: Metric) -> str:
    figure = case.figure(metric.name)
    return "-" if figure is None else with_noise(shown(metric, figure.median), figure.noise)


def _row(case: CaseResult) -> tuple[str, ...]:
    tokens = f"{case.prompt_tokens}+{case.generated}"
    share = "-" if case.of_ceiling is None else f"{100 * case.of_ceiling:.0f} %"
    runs = {None: "one", True: "agree", False: "differ"}[case.agree]
    name = f"{case.name} (queued)" if case.queued and (case.concurrency or 0) > 1 else case.name
    return (name, tokens, *(cell(case, metric) for metric in _METRICS), share, runs)


def _figures(candidate: CandidateResult) -> Iterator[tuple[str | None, Figure]]:
    yield None, candidate.load
    yield None, candidate.peak_memory
    for case in candidate.cases:
        for figure in case.figures:
            yield case.name, figure


def _metric_label(metric: str, case: str | None) -> str:
    found = METRICS[metric]
    unit = f", {found.unit}" if found.unit == "tokens/s" else ""
    return f"{found.label}{unit}" + (f" ({case})" if case else "")


def delta_text(change: Change) -> str:
    """ "+3.1 % ±2%, better"."""
    sign = "−" if change.delta < 0 else "+"
    spread = ""
    if change.noise is not None:
        # The interval is one of the ratio: as many times less is fewer per cent than as many times more.
        width = change.noise if change.delta >= 0 else 1 - 1 / (1 + change.noise)
        spread = with_noise("", width)
    word = {"unknown": "noise unknown"}.get(change.verdict, change.verdict)
    return f"{sign}{abs(change.delta):.1f} %{spread}, {word}" + (", REGRESSION" if change.regression else "")


def _with_range(metric: Metric, figure: Figure) -> str:
    text = with_noise(shown(metric, figure.median), figure.noise)
    return f"{text} ({shown(metric, figure.low)} to {shown(metric, figure.high)})" if len(figure.values) > 1 else text
