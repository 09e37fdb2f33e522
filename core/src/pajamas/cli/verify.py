"""`pajamas verify PATH`."""

from __future__ import annotations

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, refuse_backend
from pajamas.core import run


@click.command("verify")
@click.argument("path")
@json_option
@click.pass_context
def command(ctx: click.Context, path: str, as_json: bool) -> None:
    """Recompute the digests of an artifact and compare them with its receipt.

    PATH is an artifact, a folder that `convert` wrote, or its manifest.json. Exits with 1 if anything differs.
    """
    refuse_backend(ctx, "verify")
    with output.progress() as progress:
        result = run("verify", path=path, progress=progress)
    if as_json:
        output.print_json({"ok": result.ok, **output.plain(result)})
    else:
        for check in result.checks:
            if check.ok:
                click.echo(f"ok    {check.artifact}: {check.what}")
            else:
                click.echo(f"WRONG {check.artifact}: {check.what}")
                click.echo(f"      recorded: {check.expected}")
                click.echo(f"      found:    {check.found}")
        click.echo("Verified." if result.ok else "Not what the receipt says. Convert the model again.")
    if not result.ok:
        ctx.exit(1)
