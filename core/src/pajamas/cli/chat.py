"""`pajamas chat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from pajamas.cli import generation_options, standard_input
from pajamas.cli.chat_loop import ChatLoop
from pajamas.cli.generation_options import given, loading_options, sampling_options
from pajamas.cli.loading import load
from pajamas.cli.state import backend_option


@click.command("chat")
@loading_options
@sampling_options
@backend_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str | None,
    backend: str | None,
    isolated: bool,
    explain: bool,
    context_length: int | None,
    threads: int | None,
    gpu_layers: int | None,
    kv_type: str | None,
    tensor_parallel: int | None,
    pipeline_parallel: int | None,
    distributed: str | None,
    system: str | None,
    **options: Any,
) -> None:
    """Talk with a model.

    Ctrl-C stops the answer, Ctrl-D or /quit ends the program, /help lists the other commands. Without a terminal each
    line of standard input is one turn.
    """
    options = given(options)
    needs = generation_options.check(options)
    loaded = load(
        ctx,
        model=model,
        backend=backend,
        isolated=isolated,
        explain=explain,
        context_length=context_length,
        threads=threads,
        gpu_layers=gpu_layers,
        kv_type=kv_type,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        distributed=distributed,
        needs=needs,
    )
    with loaded as runtime:
        if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
            from pajamas.cli.chat_terminal import interact

            interact(ChatLoop(runtime, system, options, on_terminal=True))
            return
        loop = ChatLoop(runtime, system, options, on_terminal=False)
        for line in standard_input.read_lines():
            if line.strip() and not loop.turn(line.strip()):
                break
