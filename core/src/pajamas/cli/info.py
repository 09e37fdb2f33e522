"""`pajamas info MODEL`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pajamas import summary
from pajamas.cli import completion, output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.cli.table import print_table
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.info import ModelInfo

_LABEL = 17


@click.command("info")
@click.argument("model", required=False, shell_complete=completion.models)
@json_option
@click.pass_context
def command(ctx: click.Context, model: str | None, as_json: bool) -> None:
    """Say what a model is, and what each profile would take on disk and in memory.

    MODEL is a Hub id (Org/Name, Org/Name@revision), a file of a GGUF repository (Org/Name-GGUF:Q4_K_M), a local folder,
    an artifact (such as a .gguf file, or tiny:q4_k_m), or an alias. Of a folder that `convert` wrote the artifacts are
    listed. Only headers are read, also over the network. Sizes of GGUF files
    are exact.
    """
    refuse_backend(ctx, "info")
    with output.progress(keep=False, doing="Reading headers") as progress:
        found = run("info", model=model, progress=progress, host=plugin_host(ctx))
    if as_json:
        output.print_json(found)
    else:
        show_info(found)


def show_info(info: ModelInfo) -> None:
    """The facts, a line each, and the table of profiles."""
    architecture = info.architecture
    commit = f" at {info.source.commit[:12]}" if info.source.commit else ""
    facts = [
        ("Model", f"{info.source.text}{commit}"),
        (
            "Architecture",
            f"{architecture.family} ({architecture.model_type}), {summary.describe_attention(architecture)}",
        ),
        ("Size", summary.describe_parameters(architecture)),
        ("Shape", _shape(info)),
        ("Vocabulary", _vocabulary(info)),
        ("Context", summary.describe_context(architecture)),
        *([("Model card", info.context_citation)] if info.context_citation else []),
        ("Weights", _weights(info)),
        ("On this machine", _place(info)),
    ]
    if not architecture.convertible and any(profile.artifact is None for profile in info.profiles):
        facts.append(("Conversion", "pajamas' own converter does not know this architecture"))
    for name, value in facts:
        output.say_field(f"{name}:", value, width=_LABEL)
    if info.artifacts:
        click.echo()
        _show_artifacts(info)
    if info.profiles:
        click.echo()
        _show_profiles(info)


def _weights(info: ModelInfo) -> str:
    size = f"{output.size(info.size_on_disk)} on disk"
    if len(info.artifacts) > 1:
        return f"{len(info.artifacts)} artifacts, {size}"
    return f"{info.architecture.dtype or 'dtype not stated'}, {size}"


def _show_artifacts(info: ModelInfo) -> None:
    rows = [
        (
            f"{made.format} {made.scheme or ''}".rstrip(),
            output.size(made.size),
            f"{made.bits_per_weight:.2f}" if made.bits_per_weight else "-",
            str(made.path),
        )
        for made in info.artifacts
    ]
    print_table(("artifact", "size", "bits/weight", "path"), rows, right=(1, 2))


def _place(info: ModelInfo) -> str:
    if info.cached is None:
        return "no"
    return "yes" if str(info.cached) == info.source.text else str(info.cached)


def _shape(info: ModelInfo) -> str:
    a = info.architecture
    named = (
        ("layers", a.num_layers), ("hidden", a.hidden_size), ("intermediate", a.intermediate_size),
        ("heads", a.num_heads), ("KV heads", a.num_kv_heads), ("head dimension", a.head_dim),
    )  # fmt: skip
    return ", ".join(f"{name} {value:,}" for name, value in named if value) or "not stated"


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
    print_table(columns, rows, right=range(2, len(columns)))
    for reason in dict.fromkeys(reasons.values()):
        output.say_field("-: ", reason or "not known")
