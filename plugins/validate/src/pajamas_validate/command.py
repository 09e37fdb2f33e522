"""Measure how good a quantized model is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from pajamas.cli.plugin import (
    backend_option,
    complete_models,
    exit_code,
    json_option,
    plain,
    plugin_host,
    print_json,
    progress,
    say,
    show_findings,
)  # fmt: skip
from pajamas.core import run
from pajamas.errors import UsageError
from pajamas.operations.validating import choose_metrics
from pajamas_validate.equivalence.command import compare
from pajamas_validate.hooks import KLD, PERPLEXITY

_ANSWERS = 8192
"""Tokens of context that a session has by default, for metrics that generate."""


@click.command("validate")
@click.argument("models", nargs=-1, shell_complete=complete_models)
@click.option("-q", "--quantized", shell_complete=complete_models, help="The model that is measured.")
@click.option(
    "-o", "--original", shell_complete=complete_models,
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
              help="Keep what the original says, to judge where it does not fit. Not resumed.")  # fmt: skip
@click.option("--reference", type=click.Path(path_type=Path), metavar="FILE", help="Judge by such a file.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write report.json and a page, index.html, there.")  # fmt: skip
@click.option("--no-record", "record", is_flag=True, flag_value=False, default=True,
              help="Do not put the figures into the receipt.")  # fmt: skip
@click.option("--no-resume", "resume", is_flag=True, flag_value=False, default=True, help="Begin anew.")
@click.option("--equivalence", is_flag=True, help="Compare MODELS instead: one model on several engines.")
@click.option("--prompts", type=click.IntRange(min=0), metavar="N", help="For --equivalence: answer N. Default: 40.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of the engine.")
@click.option("--original-backend", metavar="NAME", help="The original's backend. Default: by its format.")
@backend_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    models: tuple[str, ...],
    equivalence: bool,
    prompts: int | None,
    quantized: str | None,
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
    record: bool,
    **options: Any,
) -> None:
    """Measure how good a quantized model is, against its original.

    Perplexity is llama-perplexity's, KL divergence is taken in lock step: nothing is written to disk. The verdict is a
    pass only where the sample is large enough to tell.

    With --equivalence, MODELS are two artifacts or more of one model, and conversion faults are told from quantization
    loss: tokens, prompts, settings and what is computed in float32 must be the same.
    """
    if equivalence:
        compare(ctx, models, as_json=as_json, options=ctx.params)
        return
    if prompts is not None:
        raise UsageError("--prompts needs --equivalence.", "", "For other answers, name a --suite.")
    if models:
        raise UsageError(
            f"What {models[0]!r} is meant for cannot be told.",
            "Models without an option before them belong to --equivalence.",
            f"pajamas validate --quantized {shlex.quote(models[0])}",
        )
    if quantized is None:
        raise click.MissingParameter(ctx=ctx, param=_option(ctx, "quantized"))
    host = plugin_host(ctx)
    loading: dict[str, Any] = {"threads": threads}
    chosen = choose_metrics(host, metrics)
    if set(chosen) <= {PERPLEXITY, KLD} or context > _ANSWERS:
        loading["context_length"] = context  # nothing but windows is computed, or they are longer than answers
    given = {"context": context} | {name: value for name, value in options.items() if value is not None}
    with progress(keep=False, doing="Loading") as shown:
        result = run(
            "validate",
            quantized=quantized,
            original=original,
            alone=alone or (options["reference"] is not None and original is None),
            metrics=metrics,
            text=text,
            report=report,
            record=record,
            options=given,
            backend=backend,
            original_backend=original_backend,
            progress=shown,
            host=host,
            **loading,
        )
    if as_json:
        print_json({"status": result.status, **plain(result)})
    else:
        show_findings(result)
        if result.manifest_path is not None:
            say(f"Recorded in {result.manifest_path}", err=True)
    ctx.exit(exit_code(result))


def _option(ctx: click.Context, name: str) -> click.Parameter:
    return next(parameter for parameter in ctx.command.params if parameter.name == name)
