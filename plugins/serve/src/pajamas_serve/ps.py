"""List the servers that run on this machine."""

from __future__ import annotations

import time
from typing import Any

import click

from pajamas.cli.plugin import json_option, print_json, print_table, say, size
from pajamas_serve.running_servers import running, state

_COLUMNS = ("PID", "ADDRESS", "MODEL", "WORKERS", "BUSY", "QUEUE", "BREAKER", "MEMORY", "UP")


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the servers that `pajamas serve` runs here for you, with the state of each model."""
    servers = [(server, state(server)) for server in running()]
    if as_json:
        print_json([{"pid": server.pid, "url": server.url, "state": found} for server, found in servers])
        return
    if not servers:
        say("No server is running.", err=True)
        return
    rows: list[tuple[str, ...]] = []
    for server, found in servers:
        if found is None:
            rows.append((str(server.pid), server.url, ", ".join(server.models), "", "", "", "no answer", "", ""))
            continue
        up = _duration(time.time() - found["started"])
        for model in found["models"]:
            rows.append((str(server.pid), server.url, *_cells(model), up))
    print_table(_COLUMNS, rows, right=(3, 4, 5, 7))


def _cells(model: dict[str, Any]) -> tuple[str, ...]:
    ready = sum(worker["state"] == "ready" for worker in model["workers"])
    slots = sum(worker["slots"] for worker in model["workers"])
    busy = sum(worker["busy"] for worker in model["workers"])
    return (
        model["name"],
        f"{ready}/{len(model['workers'])}" if len(model["workers"]) != ready else str(ready),
        f"{busy}/{slots}",
        str(model["queue"]),
        model["breaker"],
        size(model["memory"]),
    )


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {left:02}s"
