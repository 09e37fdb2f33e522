"""`pajamas pull MODEL`."""

from __future__ import annotations

import click

from pajamas.cli import completion, output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.core import run


@click.command("pull")
@click.argument("model", required=False, shell_complete=completion.models)
@json_option
@click.pass_context
def command(ctx: click.Context, model: str | None, as_json: bool) -> None:
    """Download a model into the Hub's cache.

    MODEL is a Hub id (Org/Name, Org/Name@revision), a file of a GGUF repository (Org/Name-GGUF:Q4_K_M, hf://...), or an
    alias. Only the files that conversion or loading needs are downloaded; a broken download is resumed.
    """
    refuse_backend(ctx, "pull")
    with output.progress() as progress:
        result = run("pull", model=model, progress=progress, host=plugin_host(ctx))
    if as_json:
        output.print_json(result)
    else:
        click.echo(result.path)
