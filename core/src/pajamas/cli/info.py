"""`pajamas info MODEL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pajamas import summary
from pajamas.cli import output
from pajamas.cli.state import json_option, refuse_backend
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.info import ModelInfo


@click.command("info")
@click.argument("model", required=False)
@json_option
@click.pass_context
def command(ctx: click.Context, model: str | None, as_json: bool) -> None:
    """Say what a model is, and what each profile would take on disk and in memory.

    Only headers are read, also over the network. Sizes of GGUF files are exact.
    """
    refuse_backend(ctx, "info")
    with output.progress() as progress:
        found = run("info", model=model, progress=progress)
    if as_json:
        output.print_json(found)
    else:
        show_info(found)


def show_info(info: ModelInfo) -> None:
    """The facts, a line each, and the table of profiles."""
    architecture = info.architecture
    commit = f" at {info.source.commit[:12]}" if info.source.commit else ""
    kind = summary.describe_attention(architecture)
    facts = [
        ("Model", f"{info.source.text}{commit}"),
        (
            "Architecture",
            f"{architecture.family} ({architecture.model_type}), {kind}",
        ),
        ("Size", summary.describe_parameters(architecture)),
        ("Layers", _layers(info)),
        ("Vocabulary", _vocabulary(info)),
        ("Context", summary.describe_context(architecture)),
        ("Weights", f"{architecture.dtype or 'dtype not stated'}, {output.size(info.size_on_disk)} on disk"),
        ("On this machine", str(info.cached) if info.cached else "no"),
    ]
    for name, value in facts:
        click.echo(f"{name + ':':<17} {value}")
    if not architecture.convertible and any(profile.artifact is None for profile in info.profiles):
        click.echo(f"{'Conversion:':<17} pajamas' own converter does not know this architecture")
    if info.profiles:
        click.echo()
        _show_profiles(info)


def _layers(info: ModelInfo) -> str:
    a = info.architecture
    named = (
        ("layers", a.num_layers), ("hidden", a.hidden_size), ("intermediate", a.intermediate_size),
        ("heads", a.num_heads), ("KV heads", a.num_kv_heads), ("head dimension", a.head_dim),
    )  # fmt: skip
    return ", ".join(f"{value:,} {name}" if name == "layers" else f"{name} {value:,}" for name, value in named if value)


def _vocabulary(info: ModelInfo) -> str:
    tied = {True: ", embeddings tied to the output layer", False: ", output layer of its own", None: ""}
    size = info.architecture.vocab_size
    return (f"{size:,} tokens" if size else "not stated") + tied[info.architecture.tied_embeddings]


def _show_profiles(info: ModelInfo) -> None:
    contexts = sorted({context for profile in info.profiles if profile.artifact for context in profile.artifact.memory})
    rows, reasons = [], {}
    for profile in info.profiles:
        cells = [profile.profile, f"{profile.format} {profile.scheme}"]
        if profile.artifact:
            bits = profile.artifact.bits_per_weight
            cells += [output.size(profile.artifact.size), f"{bits:.2f}" if bits else "-"]
            memory = profile.artifact.memory
            cells += [output.size(memory[context]) if context in memory else "-" for context in contexts]
        else:
            cells += ["-", "-", *("-" for _ in contexts)]
            reasons[f"{profile.profile} ({profile.format} {profile.scheme})"] = profile.reason
        rows.append(cells)
    columns = ["profile", "scheme", "file", "bits/weight", *(f"memory {context // 1024}K" for context in contexts)]
    output.print_table(columns, rows, right=range(2, len(columns)))
    for reason in dict.fromkeys(reasons.values()):
        click.echo(f"- : {reason}")
