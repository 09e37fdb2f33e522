"""`pajamas doctor`."""

from __future__ import annotations

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, plugin_host, refuse_backend
from pajamas.core import run

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("BAD", "red")}
_WIDTH = 5


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Try every engine and device, and say what to do about those that do not work. Exits with 1 on a problem."""
    refuse_backend(ctx, "doctor")
    with output.progress(keep=False, doing="Trying the engines"):
        found = run("doctor", host=plugin_host(ctx))
    if as_json:
        output.print_json(found)
    else:
        for item in found:
            mark, color = _MARKS[item.state]
            click.secho(mark.ljust(_WIDTH), fg=color, bold=item.state == "problem", nl=False)
            output.say_field("", f"{item.subject}: {item.finding}", taken=_WIDTH)
            if item.fix:
                output.say_field("do: ", item.fix, indent=_WIDTH)
        problems = sum(item.state == "problem" for item in found)
        click.echo()
        output.say(
            "Everything that is installed works here."
            if not problems
            else f"{problems} problem{'s' if problems > 1 else ''}."
        )
    if any(item.state == "problem" for item in found):
        ctx.exit(1)
