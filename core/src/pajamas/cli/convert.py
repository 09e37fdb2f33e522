"""`pajamas convert`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli import completion, output
from pajamas.cli.findings import exit_code, show_findings
from pajamas.cli.state import backend_option, json_option, plugin_host
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.converting import ConvertResult
    from pajamas.types import Artifact


def _formats(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _overrides(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        pattern, equals, kind = value.rpartition("=")
        if not (pattern and equals and kind):
            raise click.BadParameter(f"{value!r} is not REGEX=TYPE, such as ffn_down=Q6_K")
        pairs.append((pattern, kind))
    return tuple(pairs)


@click.command("convert")
@click.option(
    "-m", "--model", shell_complete=completion.models, help="A Hub id, a local folder, an alias, or a 16-bit GGUF file."
)
@click.option(
    "-o", "--output", "target", type=click.Path(),
    help="The folder of the result, or the artifact's file; manifest.json is written there, or beside the file.",
)  # fmt: skip
@click.option(
    "--formats", default="gguf", show_default=True, callback=_formats, help="gguf, mlx ...; several by commas."
)
@click.option("--precision", help="A scheme for each format, in order: q4_k_m, or q4_k_m:4bit for gguf,mlx.")
@click.option(
    "--profile",
    metavar="NAME",
    help="balanced (Q4_K_M / 4bit), ultra (Q3_K_M / 4bit, all layers alike) or hq (Q6_K / 8bit).",
)
@click.option("--aggressive", is_flag=True, help="Smallest uniform recipe; never changes a GGUF scheme that is named.")
@click.option(
    "--validate",
    is_flag=True,
    help="Measure the result; exit with 5 if it is above its threshold.",
)
@click.option(
    "--validation-text", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Text to measure on. Default: the model's own, or WikiText-2.",
)  # fmt: skip
@click.option("--validation-windows", type=click.IntRange(min=1), metavar="N", help="Measure on N windows only.")
@click.option("--threshold", type=float, metavar="PERCENT", help="With --validate: accept this increase of perplexity.")
@click.option("--max-kld", type=float, metavar="NATS", help="With --validate: accept this mean KL divergence.")
@click.option("--dry-run", is_flag=True, help="Say exact sizes and memory from headers alone; write nothing.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads of the quantizer. Default: all that may be used.",
)
@click.option(
    "--outtype", type=click.Choice(["bf16", "f16", "f32"]), help="dtype before quantization. Default: source's."
)
@click.option(
    "--tensor-type", "tensor_types", multiple=True, metavar="REGEX=TYPE", callback=_overrides,
    help="A type for the tensors whose name matches; repeatable, the first match wins.",
)  # fmt: skip
@click.option("--token-embedding-type", "embedding_type", metavar="TYPE", help="Type of the token embedding.")
@click.option("--output-tensor-type", "output_type", metavar="TYPE", help="Type of the output layer.")
@click.option("--keep-16bit", is_flag=True, help="Keep the 16-bit GGUF beside the result.")
@click.option("--converter", type=click.Choice(["llama.cpp"]), help="llama.cpp's own converter instead of ours.")
@click.option(
    "--calibration-samples", type=click.IntRange(min=1), metavar="N",
    help="gguf: weight the quantization by what the model does with N samples of a text, such as 512. mlx: tell by "
    "them which layers to raise.",
)  # fmt: skip
@click.option(
    "--calibration-text", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="That text: .jsonl with a conversation a line, or plain text. Default: the model's own, else what it answers "
    "to bundled prompts (gguf) or a bundled text (mlx).",
)  # fmt: skip
@click.option(
    "--imatrix", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="A ready importance matrix."
)
@click.option("--keep-imatrix", is_flag=True, help="Keep the importance matrix beside the result.")
@click.option("--mixed-precision", is_flag=True, help="mlx: body and 6-bit embedding and output layer, nothing raised.")
@click.option(
    "--embedding-bits",
    type=int,
    metavar="N",
    help="mlx: of the token embedding and the output layer: 2, 3, 4, 5, 6 or 8.",
)
@click.option("--group-size", type=int, metavar="N", help="mlx: weights that share a scale: 32, 64 or 128.")
@click.option(
    "--target-bpw",
    type=float,
    metavar="BITS",
    help="mlx: raise sensitive layers up to so many bits a weight. Default for 4bit: 5.0.",
)
@click.option("--explain", is_flag=True, help="Say on standard error which backend was chosen and why.")
@backend_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str | None,
    target: str | None,
    formats: tuple[str, ...],
    precision: str | None,
    profile: str | None,
    aggressive: bool,
    validate: bool,
    validation_text: Path | None,
    validation_windows: int | None,
    threshold: float | None,
    max_kld: float | None,
    dry_run: bool,
    force: bool,
    backend: str | None,
    explain: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a model and quantize it; write the artifacts and manifest.json with their receipts.

    Without --output the result goes to the model store (see `pajamas list`), where `generate` and `chat` find it by the
    model's name. manifest.json has a receipt of each artifact of its folder; `verify` and `list` read it.
    """
    measuring = {"windows": validation_windows, "max_increase": threshold, "max_divergence": max_kld}
    measuring = {name: value for name, value in measuring.items() if value is not None}
    if not validate and (validation_text or measuring):
        raise click.UsageError("Windows, text and thresholds of a validation are of use with --validate only.")
    settings = {"text": validation_text, "options": measuring}
    with output.progress() as progress:
        result = run(
            "convert",
            model=model,
            output=target,
            formats=formats,
            precision=precision,
            profile=profile,
            aggressive=aggressive,
            validate=validate,
            validation=settings if validate else None,
            dry_run=dry_run,
            force=force,
            backend=backend,
            **options,
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            progress=progress,
            host=plugin_host(ctx),
        )
    if explain:
        for reason in result.reasons:
            output.say(reason, err=True)
    if as_json:
        output.print_json(result)
    else:
        _show(result, dry_run)
    for format, error in result.failures.items():
        output.say(f"{format} was not made:", err=True)
        output.show_error(error)
    for format, error in result.validation_failures.items():
        output.say(f"{format} was made, and not measured:", err=True)
        output.show_error(error)
    if result.failures or result.validation_failures:
        ctx.exit(1)
    codes = {exit_code(measured) for measured in result.validations.values()} - {0}
    ctx.exit(min(codes, default=0))  # a failure weighs more than what is unresolved


def _show(result: ConvertResult, dry_run: bool) -> None:
    for artifact in result.artifacts:
        show_artifact(artifact, result.source_size, would_be=dry_run)
    if result.manifest_path:
        output.say(f"  receipt: {_receipt_place(result, result.manifest_path)}")
    for measured in result.validations.values():
        output.say()
        if len(result.validations) > 1:
            output.say(f"{measured.artifact.format}:")
        show_findings(measured)


def _receipt_place(result: ConvertResult, path: Path) -> str:
    """Where the receipt is; a folder that nobody named is told apart."""
    if all(artifact.path.parent == path.parent and artifact.path.is_file() for artifact in result.artifacts):
        return f"{path.absolute()}, which stays beside the artifact"
    return str(path)


def show_artifact(artifact: Artifact, source_size: int, *, would_be: bool = False, memory: bool = True) -> None:
    """Path, size, bits per weight, compression, memory, types, and what a person should know."""
    output.say(f"{'Would write' if would_be else 'Wrote'} {artifact.path}")
    bits = f", {artifact.bits_per_weight:.2f} bits per weight" if artifact.bits_per_weight else ""
    ratio = f", {source_size / artifact.size:.2f}x smaller than the source" if source_size and artifact.size else ""
    output.say(f"  {artifact.scheme}: {output.size(artifact.size)}{bits}{ratio}")
    counts: dict[str, int] = {}
    for tensor in artifact.tensors:
        counts[tensor.type] = counts.get(tensor.type, 0) + 1
    if counts:
        types = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        output.say_field("tensors: ", types, indent=2)
    if memory and artifact.memory:
        needs = ", ".join(
            f"{output.size(memory_size)} at {context:,}" for context, memory_size in artifact.memory.items()
        )
        output.say_field("memory: ", f"{needs} tokens of context", indent=2)
    for note in artifact.notes:
        output.say_field("note: ", note, indent=2)
