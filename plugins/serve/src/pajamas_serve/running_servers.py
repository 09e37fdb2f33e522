"""The servers that run on this machine for this user: each leaves a record while it lives."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from pajamas.errors import UsageError

_SECONDS = 5.0
"""How long a server may take to say how it is."""


@frozen(kw_only=True)
class ServerRecord:
    """How to find a server."""

    pid: int
    created: float
    """When its process began: another process may have its number later."""
    url: str
    models: tuple[str, ...]
    token: str
    """Lets `pajamas ps` ask for its state, whatever keys it wants of others. The file is its owner's alone."""


def folder() -> Path:
    """Where the records lie."""
    import platformdirs

    return platformdirs.user_state_path("pajamas") / "servers"


@contextmanager
def recorded(url: str, models: tuple[str, ...], token: str) -> Iterator[None]:
    """This process is a server while the context lasts. Where nothing can be written it is just not listed."""
    import psutil

    record = ServerRecord(pid=os.getpid(), created=psutil.Process().create_time(), url=url, models=models, token=token)
    path = folder() / f"{record.pid}.json"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_suffix(".new")  # nobody ever reads half a record
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        unfinished.rename(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def running() -> list[ServerRecord]:
    """Every server that lives; records that dead ones have left are removed."""
    import psutil

    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            record = ServerRecord(**{**given, "models": tuple(given["models"])})
        except OSError:
            continue
        except (ValueError, TypeError, KeyError):  # it is none, or that of another version's server
            if path.stem.isdecimal() and not psutil.pid_exists(int(path.stem)):
                path.unlink(missing_ok=True)
            continue
        if is_alive(record):
            found.append(record)
        else:
            path.unlink(missing_ok=True)
    return found


def is_alive(record: ServerRecord) -> bool:
    """Whether its process is there, and is the one that left the record."""
    import psutil

    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) < 1
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def choose(servers: list[ServerRecord], wanted: str | None) -> list[ServerRecord]:
    """Those with that process id, port or model; all for None.

    Raises:
        UsageError: there is none.
    """
    if wanted is None:
        return servers
    found = [
        server
        for server in servers
        if wanted in (str(server.pid), server.url.rpartition(":")[2]) or wanted in server.models
    ]
    if not found:
        there = ", ".join(f"{server.pid} at {server.url}" for server in servers) or "none"
        raise UsageError(f"No server {wanted!r} is running.", f"There is: {there}.", "See pajamas ps.")
    return found


def state(record: ServerRecord) -> dict[str, Any] | None:
    """What its /status says; None if it does not answer."""
    request = urllib.request.Request(f"{record.url}/status", headers={"authorization": f"Bearer {record.token}"})
    try:
        # Without proxies: the server is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SECONDS) as answer:
            found = json.load(answer)
            return found if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None
