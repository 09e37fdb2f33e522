"""Both ends of a child process that computes: JSON in on the first line of its standard input, JSON lines out.

An assertion of the engine aborts the process, and killing it is the only way to stop it at once. The child never
outlives its parent (`lifeline`). Each line out is an object with its "event"; these end it: `done`, `failed` (what,
why, fix), `missing` (the same, of an EngineMissing), `unusable` (of a UsageError).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import attrs

from pajamas import lifeline
from pajamas.errors import EngineError, EngineMissing, PajamasError, UsageError
from pajamas_gguf.quantize.runner import crashed

Emit = Callable[..., None]
"""Called with the event's name and its fields."""

_ERRORS: dict[str, type[PajamasError]] = {"failed": EngineError, "missing": EngineMissing, "unusable": UsageError}


def serve(kind: Callable[..., Any], work: Callable[[Any, Emit], None]) -> None:
    """The child's side, to its end: make a task of class `kind`, and let `work` do it. Never returns."""
    channel = lifeline.take_channel()
    lifeline.die_with_parent()
    lifeline.leave_no_core_file()
    task = kind(**json.loads(lifeline.first_line()))
    threading.Thread(target=lifeline.watch_parent, daemon=True).start()

    def emit(event: str, **fields: Any) -> None:
        lifeline.write_all(channel, (json.dumps({"event": event, **fields}) + "\n").encode())

    try:
        work(task, emit)
        emit("done")
    except PajamasError as error:
        name = next((name for name, kind in _ERRORS.items() if type(error) is kind), "failed")
        emit(name, what=error.what, why=error.why, fix=error.fix)
    os._exit(0)


def follow(module: str, task: Any, folder: Path, who: str) -> Generator[dict[str, Any]]:
    """The parent's side: the events before the one that ends it. Close the iterator, and the child is dead.

    :param module: run with `python -m`; it calls `serve`.
    :param task: an attrs record of JSON values.
    :param folder: takes the engine's log.
    :param who: does the work, for the message about a crash.

    Raises:
        UsageError, EngineMissing, EngineError: as the child says.
        EngineCrashed: it died, with the engine's last log lines.
    """
    ended: dict[str, Any] | None = None
    with (folder / f"{module.rpartition('.')[2]}.log").open("w+b") as log:
        process = subprocess.Popen(
            # -P: the current folder may hold anything, and must not be imported from.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # The engine would start a debugger on itself when an assertion fails.
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )
        try:
            for event in _events(process, task):
                if event["event"] == "done" or event["event"] in _ERRORS:
                    ended = event
                    break
                yield event
            process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended is None:
            raise crashed(process.returncode, log, who)
    if ended["event"] != "done":
        raise _ERRORS[ended["event"]](ended["what"], ended["why"], ended["fix"])


def _events(process: subprocess.Popen[bytes], task: Any) -> Iterator[dict[str, Any]]:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(attrs.asdict(task)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return
    for line in process.stdout:
        if not line.endswith(b"\n"):  # it died in the middle
            return
        yield json.loads(line)
