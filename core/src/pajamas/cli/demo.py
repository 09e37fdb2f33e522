"""`pajamas demo`: the whole pipeline on the bundled model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pajamas.cli import output
from pajamas.cli.convert import show_artifact
from pajamas.cli.findings import exit_code, show_findings
from pajamas.cli.info import show_info
from pajamas.cli.loading import load
from pajamas.cli.state import plugin_host, refuse_backend
from pajamas.core import run
from pajamas.errors import TargetExists
from pajamas.manifest import find_receipt
from pajamas.operations.proof import prove

if TYPE_CHECKING:
    from pajamas.operations.converting import ConvertResult
    from pajamas.runtime import Runtime

MODEL = "tiny"
QUESTION = "What is 2+2?"
_STORY_TOKENS = 256
_COMMAND = "pajamas demo"


@click.command("demo")
@click.option("-o", "--output", "target", type=click.Path(), help="Default: the model store.")
@click.pass_context
def command(ctx: click.Context, target: str | None) -> None:
    """Take the bundled model through everything: look at it, convert it to Q4_K_M, ask it, measure it."""
    refuse_backend(ctx, "demo")
    _title("1. What the model is", f"pajamas info {MODEL}")
    with output.progress(keep=False, doing="Reading headers") as progress:
        found = run("info", model=MODEL, progress=progress, host=plugin_host(ctx))
    show_info(found)
    _title("2. Conversion to Q4_K_M", f"pajamas convert --model {MODEL} --precision q4_k_m")
    result = _convert(ctx, target)
    show_artifact(result.artifacts[0], result.source_size, memory=False)
    output.say_field("receipt: ", str(result.manifest_path), indent=2)
    _title("3. The quantized file answers", f'pajamas generate --model {MODEL} "{QUESTION}"')
    with load(ctx, model=str(result.gguf_path)) as runtime:
        output.say_field("question:", QUESTION, indent=2, width=15)
        _answer(runtime)
        _title("4. Generation speed")
        _speed(runtime)
    code = _quality(ctx, result)
    click.echo()
    output.say_field("Talk with it: ", f'pajamas chat --model "{result.gguf_path}"')
    ctx.exit(code)


def _convert(ctx: click.Context, target: str | None) -> ConvertResult:
    """What an earlier demo has made is made anew; what anybody else has made is left alone."""

    def attempt(*, force: bool) -> ConvertResult:
        with output.progress() as progress:
            return run(
                "convert",
                model=MODEL,
                output=target,
                precision="q4_k_m",
                force=force,
                command=_COMMAND,
                progress=progress,
                host=plugin_host(ctx),
            )

    try:
        return attempt(force=False)
    except TargetExists as error:
        planned = run("convert", model=MODEL, output=target, precision="q4_k_m", dry_run=True, host=plugin_host(ctx))
        found = find_receipt(planned.artifacts[0].path)
        if found is None or found[1].command != _COMMAND:
            raise TargetExists(error.what, "It is not of a demo.", "Name another folder: --output FOLDER") from error
        return attempt(force=True)


def _quality(ctx: click.Context, result: ConvertResult) -> int:
    """Measures it; what the shell is told of the verdict."""
    if not plugin_host(ctx).metrics():
        _title("5. Quality is not measured", "pip install pajamas-validate")
        return 0
    _title("5. What quantization has cost", f'pajamas validate --quantized "{result.gguf_path}"')
    with output.progress() as progress:
        proven = prove(result, {}, host=plugin_host(ctx), progress=progress)
    for error in proven.validation_failures.values():
        raise error
    for measured in proven.validations.values():
        show_findings(measured, indent=2)
    return max(exit_code(measured) for measured in proven.validations.values())


def _title(text: str, command: str = "") -> None:
    click.echo()
    click.secho(text, bold=True, nl=not command)
    if command:
        click.secho(f"   $ {command}", dim=True)


def _answer(runtime: Runtime) -> None:
    for mode in ("non-thinking", "thinking"):
        answer = runtime.generate(QUESTION, mode=mode, temperature=0, max_tokens=200)
        if answer.reasoning:
            click.secho(f"  {'it thinks:':<15}{output.safe(answer.reasoning.strip())}", dim=True)
        output.say(f"  {mode + ':':<15}{answer.text.strip()}")


def _speed(runtime: Runtime) -> None:
    # The answer is let run on, so that there is enough to measure whatever the model says.
    prompt = "Tell me a story."
    story = runtime.generate(prompt, mode="non-thinking", temperature=0, max_tokens=_STORY_TOKENS, ignore_eos=True)
    usage = story.usage
    if usage:
        output.say(
            f"  {usage.generation_tokens_per_second:,.0f} tokens per second over {usage.completion_tokens} tokens, "
            f"the first after {usage.time_to_first_token * 1000:,.0f} ms"
        )
