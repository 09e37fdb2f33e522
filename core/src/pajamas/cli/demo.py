"""`pajamas demo`: the whole pipeline on the bundled model."""

from __future__ import annotations

from typing import Any

import click

from pajamas.cli import output
from pajamas.cli.convert import show_artifact
from pajamas.cli.generate import statistics
from pajamas.cli.info import show_info
from pajamas.cli.state import refuse_backend
from pajamas.core import run

MODEL = "tiny"
QUESTION = "What is 2+2?"


@click.command("demo")
@click.option("-o", "--output", "target", type=click.Path(), help="Default: the model store.")
@click.pass_context
def command(ctx: click.Context, target: str | None) -> None:
    """Take the bundled model through everything: look at it, convert it to Q4_K_M, ask it, measure its speed."""
    refuse_backend(ctx, "demo")
    _title(f"1. What the model is: pajamas info {MODEL}")
    show_info(run("info", model=MODEL))
    _title(f"2. Conversion: pajamas convert --model {MODEL} --precision q4_k_m")
    with output.progress() as progress:
        result = run(
            "convert",
            model=MODEL,
            output=target,
            precision="q4_k_m",
            force=True,
            command="pajamas demo",
            progress=progress,
        )
    show_artifact(result.artifacts[0], result.source_size)
    click.echo(f"  receipt: {result.manifest_path}")
    _title(f'3. Answers of the quantized file: pajamas generate --model {MODEL} "{QUESTION}"')
    with run("load", path=result.gguf_path) as runtime:
        for mode in ("non-thinking", "thinking"):
            answer = runtime.generate(QUESTION, mode=mode, temperature=0, max_tokens=200)
            _show(mode, answer)
        _title("4. Generation speed")
        story = runtime.generate("Tell me a story.", mode="non-thinking", temperature=0, max_tokens=200)
        if story.usage:
            click.echo(statistics(story.usage))
    click.echo(f'\nTry it: pajamas chat --model "{result.gguf_path}"')


def _title(text: str) -> None:
    output.console().print(f"\n{text}", style="bold")


def _show(mode: str, answer: Any) -> None:
    click.echo(f"{mode}:")
    if answer.reasoning:
        output.console().print(f"  (reasoning) {answer.reasoning}", style="dim")
    click.echo(f"  {answer.text}")
