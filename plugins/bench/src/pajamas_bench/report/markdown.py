"""The report as Markdown, to be pasted into an issue."""

from __future__ import annotations

from collections.abc import Sequence

from pajamas_bench.printing import (
    CHANGE_COLUMNS,
    COLUMNS,
    agreement_lines,
    ceiling_line,
    comparison_title,
    facts,
    figure_rows,
    machine_line,
    rows,
    status_line,
)
from pajamas_bench.results import BenchmarkResult

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#"} | {"\n": " "})


def render(result: BenchmarkResult) -> str:
    """Figures in the columns metric, baseline, pajamas, delta; then every model by itself; every text is escaped."""
    candidate = result.candidates[-1]
    parts = [f"# {_text(candidate.name)}", ""]
    if line := status_line(result):
        parts += [f"**{_text(line)}**", ""]
    if result.baseline:
        parts += [_text(f"{comparison_title(result)}."), ""]
    compared = [(row.metric, row.baseline, row.pajamas, row.delta) for row in figure_rows(result)]
    parts += [*_table(CHANGE_COLUMNS, compared), ""]
    for one in result.candidates:
        parts += [f"## {_text(one.name)}", "", *(f"- {_text(label)}: {_text(text)}" for label, text in facts(one))]
        if line := ceiling_line(result, one):
            parts.append(f"- Ceiling: {_text(line)}")
        parts += ["", *_table(COLUMNS, rows(one)), ""]
        parts += [f"- {_text(name)}: {_text(sentence)}" for name, sentence in agreement_lines(one)] + [""]
    parts += ["## Method", ""]
    parts += [f"- {_text(text)}" for text in (*result.notes, *method(result))]
    return "\n".join(parts) + "\n"


def method(result: BenchmarkResult) -> list[str]:
    """How it was measured, a sentence each."""
    runs = f"{result.repeat} runs of each case" if result.repeat > 1 else "One run of each case"
    return [
        f"{runs} after a warm-up, by turns; ± is the 95 % interval, and a difference inside it may be chance.",
        "Each model in a process of its own. Its peak memory is the most that it has held, mapped files included.",
        "Answers are greedy. Times are those of who reads the stream, in the process of the engine.",
        f"Machine: {machine_line(result.machine)}.",
        f"{result.date}, pajamas {result.pajamas_version}" + (f": {result.command}" if result.command else "."),
    ]


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(map(_text, row)) + " |" for row in cells]


def _text(text: str) -> str:
    return text.translate(_SPECIAL)
