"""Measure how good a quantized model is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli import completion, output
from pajamas.cli.state import backend_option, json_option, plugin_host
from pajamas.core import run
from pajamas.operations.validating import choose_metrics
from pajamas_validate.hooks import KLD, PERPLEXITY

if TYPE_CHECKING:
    from pajamas.operations.validating import ValidationResult

_ANSWERS = 8192
"""Tokens of context that a session has by default, for metrics that generate."""


@click.command("validate")
@click.option("-q", "--quantized", required=True, shell_complete=completion.models, help="The model that is measured.")
@click.option(
    "-o", "--original", shell_complete=completion.models,
    help="What it is compared with. Default: what its receipt says that it was made from.",
)  # fmt: skip
@click.option("--alone", is_flag=True, help="Measure it alone, whatever its original is.")
@click.option("--metrics", help="Which, by commas: perplexity, kld, samples ... Default: all.")
@click.option("--text", type=click.Path(path_type=Path), help="A text file to measure on.")
@click.option(
    "--dataset", metavar="NAME", help="wikitext2 instead of a file; fetched once. Default: the model's own text."
)
@click.option(
    "--suite", metavar="FILE", help="Prompts to ask both, a .toml file. Default: the model's own, or general ones."
)
@click.option("--windows", type=int, metavar="N", help="Use the first N windows only: a quick look.")
@click.option("--ctx", "context", type=int, default=512, show_default=True, metavar="N", help="Tokens of a window.")
@click.option("--profile", metavar="NAME", help="Judge by this profile: balanced, ultra or hq. Default: the scheme's.")
@click.option("--threshold", "max_increase", type=float, metavar="PERCENT", help="Accept this increase of perplexity.")
@click.option("--max-kld", "max_divergence", type=float, metavar="NATS", help="Accept this mean KL divergence.")
@click.option("--save-reference", type=click.Path(path_type=Path), metavar="FILE",
              help="Keep what the original says, to judge where it does not fit.")  # fmt: skip
@click.option("--reference", type=click.Path(path_type=Path), metavar="FILE", help="Judge by such a file.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write report.json and a page, index.html, there.")  # fmt: skip
@click.option("--no-resume", "resume", is_flag=True, flag_value=False, default=True, help="Begin anew.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of the engine.")
@click.option("--original-backend", metavar="NAME", help="The original's backend. Default: by its format.")
@backend_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    quantized: str,
    original: str | None,
    alone: bool,
    metrics: str | None,
    text: Path | None,
    context: int,
    threads: int | None,
    original_backend: str | None,
    backend: str | None,
    as_json: bool,
    report: Path | None,
    **options: Any,
) -> None:
    """Measure how good a quantized model is, against its original.

    Perplexity is llama-perplexity's, KL divergence is taken in lock step: nothing is written to disk. The verdict is a
    pass only where the sample is large enough to tell.
    """
    host = plugin_host(ctx)
    if report is not None:
        options["scores"] = report / "scores.npz"
    loading: dict[str, Any] = {"threads": threads}
    if set(choose_metrics(host, metrics)) <= {PERPLEXITY, KLD} or context > _ANSWERS:
        loading["context_length"] = context  # nothing but windows is computed, or they are longer than answers
    with output.progress(keep=False, doing="Loading") as progress:
        result = run(
            "validate",
            quantized=quantized,
            original=original,
            alone=alone or (options["reference"] is not None and original is None),
            metrics=metrics,
            text=text,
            options={"context": context} | {name: value for name, value in options.items() if value is not None},
            backend=backend,
            original_backend=original_backend,
            progress=progress,
            host=host,
            **loading,
        )
    if as_json:
        output.print_json(result)
    else:
        show(result)
    if report is not None:
        output.say(f"Report: {_report(report, result)}", err=as_json)
    ctx.exit({"fail": 5, "unresolved": 6}.get(result.status, 0))


def _report(folder: Path, result: ValidationResult) -> Path:
    from pajamas_validate.report.folder import write_report
    from pajamas_validate.scores import read

    measured = result.finding("perplexity")
    scores = read(folder / "scores.npz", measured.details["tokens_sha256"]) if measured else None
    return write_report(folder, result, scores)


def show(result: ValidationResult) -> None:
    """The block of figures; what the model was measured on goes to standard error."""
    from pajamas_validate.printing import lines, notes

    for note in notes(result.findings):
        output.say(note, err=True)
    for label, value in lines(result.findings):
        output.say_field(label, value, width=23)
