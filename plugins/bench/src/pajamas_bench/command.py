"""Measure how fast a model answers."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from pajamas.cli.plugin import (
    backend_option,
    complete_models,
    json_option,
    plugin_host,
    print_json,
    print_table,
    progress,
    say,
    say_field,
)
from pajamas.core import run
from pajamas_bench.benchmarking import REPEAT
from pajamas_bench.printing import (
    CHANGE_COLUMNS,
    COLUMNS,
    agreement_lines,
    ceiling_line,
    change_rows,
    comparison_title,
    facts,
    machine_line,
    rows,
    status_line,
)
from pajamas_bench.results import BenchmarkResult

_EXIT_CODES = {"fail": 5, "unresolved": 6}
_WIDTH = 15


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them: `2048,8192`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not whole numbers with commas between them, such as 2048,8192", param, ctx)


class Percent(click.ParamType[float]):
    """`20%` or `20`."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(str(value).strip().removesuffix("%"))
        except ValueError:
            self.fail(f"{value!r} is not a share such as 20%", param, ctx)


@click.command("benchmark")
@click.option("-m", "--model", shell_complete=complete_models,
              help="An artifact's file or folder, a Hub id, or an alias. Default: as for generate.")  # fmt: skip
@click.option("--compare", nargs=2, metavar="A B", help="Instead of --model: two models by turns; A is the baseline.")
@click.option("-p", "--prompt", metavar="TEXT", help='Default: "What is 2+2?" and "Explain quantum physics".')
@click.option("-n", "--num-tokens", type=int, metavar="N",
              help="Tokens of an answer. Default: 50 and 200 for those two, 500 for others.")  # fmt: skip
@click.option("--context-lengths", type=Numbers(), default=(), metavar="N,...",
              help="Fill contexts of so many tokens, prompt and answer together.")  # fmt: skip
@click.option("--concurrency", type=Numbers(), default=(), metavar="N,...", help="Send so many requests at once.")
@click.option("--repeat", type=int, default=REPEAT, show_default=True, metavar="N", help="Measure so often.")
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE",
              help="Compare with the figures that --json wrote there.")  # fmt: skip
@click.option("--max-regression", type=Percent(), metavar="PERCENT",
              help="Exit with 5 where a figure is worse than the baseline by more than that.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write report.md, report.json and a page with plots, index.html, there.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of the engine.")
@click.option("--gpu-layers", type=click.IntRange(min=0), metavar="N", help="Layers on the GPU.")
@click.option("--kv-type", metavar="TYPE", help="Type of the KV cache: f16, q8_0, ...")
@backend_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str | None,
    compare: tuple[str, str] | None,
    backend: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how fast a model answers.

    Load, time to first token, prompt and generation speed, latencies, memory, and how near the memory's bandwidth that
    is. Each model runs in a process of its own, and greedily, so that repeated runs can be held against each other. "±"
    is the 95 % interval over the runs, and in a comparison the one that holds for all figures together: a difference
    inside it is called equal.

    \b
    pajamas benchmark --model qwen3-1.7b
    pajamas benchmark --model qwen3-1.7b --num-tokens 500 --context-lengths 2048,8192,32768
    pajamas benchmark --model qwen3-1.7b --json > before.json
    pajamas benchmark --model qwen3-1.7b --baseline before.json --max-regression 20%
    """
    if compare and model is not None:
        raise click.UsageError("--compare names the models: leave --model out.")
    first, second = compare or (None, model)
    with progress(keep=False, doing="Loading") as shown:
        result: BenchmarkResult = run(  # type: ignore[call-overload]  # an operation of a plugin
            "benchmark",
            model=second,
            compare_with=first,
            command=shlex.join(["pajamas", *sys.argv[1:]]),
            backend=backend,
            progress=shown,
            host=plugin_host(ctx),
            **{name: value for name, value in options.items() if value is not None},
        )
    if as_json:
        print_json(result)
    else:
        show(result)
    ctx.exit(_EXIT_CODES.get(result.status, 0))


def show(result: BenchmarkResult) -> None:
    """The figures to standard output, what they were measured on to standard error."""
    say_field("Machine: ", machine_line(result.machine), err=True)
    for candidate in result.candidates:
        say(candidate.name, bold=True)
        for label, text in facts(candidate):
            say_field(f"{label}:", text, width=_WIDTH)
        if line := ceiling_line(result, candidate):
            say_field("Ceiling:", line, width=_WIDTH)
        say()
        print_table(COLUMNS, rows(candidate), right=range(2, 9))
        say()
        for name, sentence in agreement_lines(candidate):
            say_field(f"{name}: ", sentence)
        say()
    if result.changes:
        say(comparison_title(result), bold=True)
        changes = [(row.metric, row.baseline, row.pajamas, row.delta) for row in change_rows(result)]
        print_table(CHANGE_COLUMNS, changes, right=(1, 2))
        say()
    for note in result.notes:
        say_field("Note: ", note)
    if line := status_line(result):
        say_field("Status:", line, width=_WIDTH)
    for path in result.reports:
        say_field("Report:", str(path), width=_WIDTH)
