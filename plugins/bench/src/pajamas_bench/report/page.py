"""The report as one HTML page that needs no network and no script."""

from __future__ import annotations

from importlib import resources
from typing import Any

from pajamas_bench.printing import (
    CHANGE_COLUMNS,
    COLUMNS,
    agreement,
    ceiling_line,
    change_rows,
    comparison_title,
    facts,
    rows,
    status_line,
)
from pajamas_bench.report import plots
from pajamas_bench.report.markdown import method
from pajamas_bench.results import BenchmarkResult, CandidateResult

_PLOTS = (
    (plots.speeds, "A point is a run, the bar their median. The ceiling is what the memory could deliver."),
    (plots.latencies, "What a reader waits for the next token: flat is good, a slope is the context growing."),
    (plots.by_context, "Longer contexts cost: each token reads all that stand before it."),
    (plots.by_concurrency, "Requests that are computed together share the reading of the weights."),
)


def render(result: BenchmarkResult) -> str:
    """The page's HTML. Every text is escaped; the only markup taken as it is are the plots, which are ours."""
    from jinja2 import Environment, StrictUndefined

    template = (resources.files("pajamas_bench.report") / "page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    drawn = [(draw(result.candidates), caption) for draw, caption in _PLOTS]
    return environment.from_string(template).render(
        title=" against ".join(candidate.name for candidate in reversed(result.candidates)),
        lead=f"How fast it answers: {result.repeat} run{'s' if result.repeat > 1 else ''} of each case, {result.date}",
        status=status_line(result),
        result=result,
        columns=COLUMNS,
        models=[_model(result, candidate) for candidate in result.candidates],
        comparison_title=comparison_title(result),
        change_columns=CHANGE_COLUMNS,
        changes=change_rows(result),
        plots=[(svg, caption) for svg, caption in drawn if svg is not None],
        method=method(result),
    )


def _parts(cell: str) -> tuple[str, str]:
    """A figure and its noise, which stands below it."""
    value, mark, noise = cell.rpartition(" ±")
    return (value, f"±{noise}") if mark else (cell, "")


def _model(result: BenchmarkResult, candidate: CandidateResult) -> dict[str, Any]:
    line = ceiling_line(result, candidate)
    return {
        "name": candidate.name,
        "facts": facts(candidate) + ([("Ceiling", line)] if line else []),
        "rows": [[_parts(cell) for cell in row] for row in rows(candidate)],
        "answers": [(case.name, agreement(case), case.agree is False, case.text) for case in candidate.cases],
    }
