"""`pajamas verify PATH`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.operations.check import Check


@click.command("verify")
@click.argument("path", type=click.Path())
@click.option("--deep", is_flag=True, help="Measure the quality again too, and compare.")
@json_option
@click.pass_context
def command(ctx: click.Context, path: str, deep: bool, as_json: bool) -> None:
    """Recompute the digests of an artifact and compare them with its receipt.

    PATH is an artifact, a folder that `convert` wrote, or its manifest.json; or the name of a model: what was made from
    it in the model store. Exits with 1 if anything differs.
    """
    refuse_backend(ctx, "verify")
    with output.progress(keep=False) as progress:
        result = run("verify", path=path, deep=deep, progress=progress, host=plugin_host(ctx))
    if as_json:
        output.print_json({"ok": result.ok, **output.plain(result)})
    else:
        for artifact in dict.fromkeys(check.artifact for check in result.checks):
            output.say(artifact)
            for check in result.checks:
                if check.artifact == artifact:
                    _show(check)
        for error in result.failures.values():
            output.show_error(error)
        if result.ok:
            output.say("Verified: it is what its receipt says.", fg="green")
        elif all(check.ok for check in result.checks):
            output.say("The files are what the receipt says. Not all of their quality was measured again.", fg="red")
        else:
            output.say("This is not what the receipt says. Convert the model again.", fg="red")
    if not result.ok:
        ctx.exit(1 if any(not check.ok for check in result.checks) else next(iter(result.failures.values())).exit_code)


def _show(check: Check) -> None:
    if check.ok:
        figures = "" if check.within is None else f": {check.found}, recorded {check.expected}"
        output.say(f"  ok     {check.what}{figures}")
        return
    output.say(f"  WRONG  {check.what}")
    output.say(f"         recorded: {check.expected}")
    output.say(f"         found:    {check.found}")
