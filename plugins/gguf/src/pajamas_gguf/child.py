"""Runs a piece of work in a child process, because a failed assertion of the engine aborts the process it is in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from attrs import frozen

from pajamas.errors import EngineError

_MARK = "pajamas-answer:"


@frozen
class Crash:
    """How a child died before it answered."""

    why: str
    log: str
    """The end of what it wrote to standard error."""
    slow: bool = False
    """It was stopped because it took too long: on a busy machine this says nothing about the work."""

    @property
    def told(self) -> str:
        """Both, to end a sentence."""
        return self.why + (f" ({self.log})" if self.log else "")


def run(module: str, request: dict[str, Any], timeout: float) -> dict[str, Any] | Crash:
    """What `module` answers to `request` when it runs as `python -m module`; both are JSON objects.

    Raises:
        EngineError: the child process cannot be started.
    """
    # -P: a file of the current folder must not pass for a module of the standard library.
    command = [sys.executable, "-P", "-m", module]
    # Without GGML_NO_BACKTRACE an assertion starts a debugger, which takes seconds.
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Crash(f"it did not answer within {timeout:g} seconds", _tail(error.stderr), slow=True)
    except OSError as error:
        raise EngineError(
            f"{sys.executable} cannot be started.", str(error), "Check the installation of Python."
        ) from error
    for line in reversed(done.stdout.decode("utf-8", "replace").splitlines()):
        if line.startswith(_MARK):
            answer: dict[str, Any] = json.loads(line.removeprefix(_MARK))
            return answer
    return Crash(_ending(done.returncode), _tail(done.stderr))


def read_request() -> dict[str, Any]:
    """In the child: what the parent asks."""
    _leave_no_core_file()
    request: dict[str, Any] = json.load(sys.stdin)
    return request


def answer(value: dict[str, Any]) -> None:
    """In the child: reply, and end without the engine's own shutdown, which may crash after all is said."""
    sys.stdout.write(f"\n{_MARK}{json.dumps(value)}\n")
    sys.stdout.flush()
    os._exit(0)


def _leave_no_core_file() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"


def _tail(stderr: bytes | None) -> str:
    lines = (stderr or b"").decode("utf-8", "replace").strip().splitlines()
    return "; ".join(line.strip() for line in lines[-3:])
