"""Stop a running server."""

from __future__ import annotations

import os
import signal
import time

import click

from pajamas.cli.plugin import say
from pajamas.errors import EngineError, UsageError
from pajamas_serve.running_servers import ServerRecord, choose, is_alive, running
from pajamas_serve.seconds import Seconds


@click.command()
@click.argument("server", required=False)
@click.option("--all", "everything", is_flag=True, help="Stop every server.")
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, metavar="SECONDS",
              help="How long to wait for it.")  # fmt: skip
@click.option("--force", is_flag=True, help="Kill it; answers under way are lost.")
def command(server: str | None, everything: bool, timeout: float, force: bool) -> None:
    """Stop SERVER: a process id, a port or a model's name. Answers under way are given to their end."""
    if server is not None and everything:
        raise click.UsageError("SERVER and --all contradict each other.")
    servers = choose(running(), server)
    if not servers:
        raise UsageError("No server is running.", "", "See pajamas ps.")
    if len(servers) > 1 and not everything:
        there = ", ".join(f"{one.pid} at {one.url}" for one in servers)
        raise UsageError("Several servers are running.", f"There is: {there}.", "Name one of them, or say --all.")
    for one in servers:
        if is_alive(one):  # looked at again: its number must not have gone to another process
            os.kill(one.pid, signal.SIGKILL if force else signal.SIGTERM)
    for one in servers:
        _wait(one, timeout)
        say(f"Stopped {one.pid} at {one.url}.", err=True)


def _wait(server: ServerRecord, timeout: float) -> None:
    end = time.monotonic() + timeout
    while is_alive(server):
        if time.monotonic() > end:
            raise EngineError(
                f"Server {server.pid} has not stopped within {timeout:g} seconds.",
                "It gives the answers that are under way to their end.",
                "Wait, or stop it with --force.",
            )
        time.sleep(0.05)
