"""What is tried in a child process, because MLX can end the process it is in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from pajamas.errors import EngineError

_MARK = "pajamas-answer:"
# -P: a file of the current folder must not pass for a module of the standard library.
COMMAND = (sys.executable, "-P", "-m")


def ask(module: str, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """What `module`, which ends with `answer`, answers as `python -m module`; both are JSON objects.

    Where it gives no answer, that is {"died": why, in some words}.

    Raises:
        EngineError: the child process cannot be started.
    """
    given = json.dumps(request).encode()
    try:
        done = subprocess.run([*COMMAND, module], input=given, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"died": f"it does not answer within {timeout:.0f} seconds"}
    except OSError as error:
        raise EngineError(f"{sys.executable} cannot be started.", str(error), "Mend the installation.") from error
    for line in reversed(done.stdout.decode("utf-8", "replace").splitlines()):
        if line.startswith(_MARK):
            answer: dict[str, Any] = json.loads(line.removeprefix(_MARK))
            return answer
    log = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
    return {"died": f"it dies of it: {_ending(done.returncode)} {log}"}


def answer(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """In the child: hand the request to `work`, send what it returns, and end."""
    found = work(json.load(sys.stdin))
    sys.stdout.write(f"\n{_MARK}{json.dumps(found)}\n")
    sys.stdout.flush()
    os._exit(0)  # the engine's own shutdown has nothing to add


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
