"""`pajamas plugins`."""

from __future__ import annotations

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, refuse_backend
from pajamas.core import run


@click.command("plugins")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins; a broken one is shown with its distribution, version and the reason."""
    refuse_backend(ctx, "plugins")
    found = run("plugins")
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            plugin.name,
            plugin.kind,
            f"{plugin.distribution} {plugin.version}",
            plugin.problem or (plugin.info.unavailable if plugin.info else None) or "ok",
        )
        for plugin in found
    ]
    output.print_table(("name", "kind", "distribution", "state"), rows)
    for plugin in found:
        if plugin.info:
            features = ", ".join(sorted(plugin.info.features))
            click.echo(f"\n{plugin.name}: {plugin.info.engine} {plugin.info.engine_version or '(not installed)'}")
            click.echo(f"  formats:  {', '.join(plugin.info.formats)}")
            click.echo(f"  devices:  {', '.join(plugin.info.devices)}")
            click.echo(f"  schemes:  {', '.join(plugin.info.schemes)}")
            click.echo(f"  features: {features}")
