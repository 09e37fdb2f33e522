"""`pajamas chat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from pajamas.cli import output
from pajamas.cli.generation_options import given, loading_options, sampling_options
from pajamas.cli.state import backend_option
from pajamas.core import run


@click.command("chat")
@loading_options
@sampling_options
@backend_option
def command(
    model: str | None,
    backend: str | None,
    isolated: bool,
    explain: bool,
    context_length: int | None,
    threads: int | None,
    gpu_layers: int | None,
    kv_type: str | None,
    system: str | None,
    **options: Any,
) -> None:
    """Talk with a model.

    Ctrl-C stops the answer, Ctrl-D or /quit ends the program, /help lists the other commands. Without a terminal each
    line of standard input is one turn.
    """
    from pajamas.cli.chat_loop import ChatLoop

    loading = given(
        {"context_length": context_length, "threads": threads, "gpu_layers": gpu_layers, "kv_type": kv_type}
    )
    with output.progress() as progress:
        loaded = run("load", path=model, backend=backend, isolated=isolated, progress=progress, **loading)
    with loaded as runtime:
        if explain:
            for reason in runtime.reasons:
                click.echo(reason, err=True)
        loop = ChatLoop(runtime, system, given(options))
        if sys.stdin.isatty() and sys.stdout.isatty():
            loop.interact()
        else:
            for line in sys.stdin:
                if line.strip() and not loop.turn(line.strip()):
                    break
