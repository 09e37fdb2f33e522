"""`pajamas doctor`."""

from __future__ import annotations

import click

from pajamas.cli import output
from pajamas.cli.state import json_option, refuse_backend
from pajamas.core import run

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "problem": ("BAD ", "bold red")}


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Try every engine and device, and say what to do about those that do not work. Exits with 1 on a problem."""
    refuse_backend(ctx, "doctor")
    found = run("doctor")
    if as_json:
        output.print_json(found)
    else:
        console = output.console()
        for item in found:
            mark, style = _MARKS[item.state]
            console.print(mark, style=style, end=" ")
            console.print(f"{item.subject}: {item.finding}")
            if item.fix:
                console.print(f"     do: {item.fix}")
    if any(item.state == "problem" for item in found):
        ctx.exit(1)
