"""`pajamas list`."""

from __future__ import annotations

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, refuse_backend
from pajamas.core import run


@click.command("list")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List converted artifacts, downloaded models, and the aliases that can be used for a model."""
    refuse_backend(ctx, "list")
    found = run("list")
    if as_json:
        output.print_json(found)
        return
    artifacts = [model for model in found.models if model.kind == "artifact"]
    downloads = [model for model in found.models if model.kind == "download"]
    click.echo(f"Artifacts in {found.folder}:" if artifacts else f"No artifacts in {found.folder}.")
    if artifacts:
        rows = [
            (
                model.name,
                f"{model.format} {model.scheme or ''}",
                f"{model.bits_per_weight:.2f}" if model.bits_per_weight else "",
                output.size(model.size),
                str(model.path),
            )
            for model in artifacts
        ]
        output.print_table(("name", "scheme", "bits/weight", "size", "path"), rows, right=(2, 3))
    click.echo("\nDownloads:" if downloads else "\nNo downloads in the Hub's cache.")
    if downloads:
        repositories = [(model.name, output.size(model.size), str(model.path)) for model in downloads]
        output.print_table(("repository", "size", "path"), repositories, right=(1,))
    click.echo("\nAliases:")
    output.print_table(("alias", "model"), sorted(found.aliases.items()))
