"""`pajamas list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.cli.table import print_table
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.inventory import Inventory, ListedModel


@click.command("list")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List converted artifacts, downloaded models, and the aliases that can be used for a model."""
    refuse_backend(ctx, "list")
    found = run("list", host=plugin_host(ctx))
    for warning in found.warnings:
        output.say(f"Warning: {warning}", err=True, fg="yellow")
    if as_json:
        output.print_json(found)
        return
    _show_artifacts(found, [model for model in found.models if model.kind == "artifact"])
    click.echo()
    _show_downloads([model for model in found.models if model.kind == "download"])
    click.echo("\nAliases:")
    print_table(("alias", "model"), sorted(found.aliases.items()))


def _show_artifacts(found: Inventory, artifacts: list[ListedModel]) -> None:
    if not artifacts:
        output.say(f"No artifacts in {found.folder}: `pajamas convert` makes them.")
        return
    output.say(f"Artifacts in {found.folder}:")
    rows = [
        (
            model.name,
            f"{model.format} {model.scheme or ''}".rstrip(),
            f"{model.bits_per_weight:.2f}" if model.bits_per_weight else "",
            output.size(model.size),
            str(model.path.relative_to(found.folder)),
        )
        for model in artifacts
    ]
    print_table(("name", "scheme", "bits/weight", "size", "path"), rows, right=(2, 3))


def _show_downloads(downloads: list[ListedModel]) -> None:
    if not downloads:
        output.say("No downloads in the Hub's cache.")
        return
    # The cache's own layout follows from the name, so a folder says it for all.
    folders = sorted({str(model.path.parent) for model in downloads})
    output.say(f"Downloads in {', '.join(folders)}:")
    print_table(("repository", "size"), [(model.name, output.size(model.size)) for model in downloads], right=(1,))
