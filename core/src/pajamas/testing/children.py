"""What the kit tries in a process of its own, because it may load an engine, crash or hang: asked from here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SECONDS = 300.0
"""How long a process may take for all that it is asked before it is killed: generous, for engines that load slowly."""


def ask(question: str, **request: Any) -> dict[str, Any]:
    """The answer of one of the functions of `pajamas.testing.child`, or {"failed": why}."""
    return ask_all(question, **request)[-1]


def ask_all(question: str, **request: Any) -> list[dict[str, Any]]:
    """All answers of a function that gives several. The last is {"failed": why} if its process died or hung."""
    with tempfile.TemporaryDirectory(prefix="pajamas-kit-") as folder:
        answers, log = Path(folder, "answers"), Path(folder, "log")
        answers.touch()
        # -P: a folder named like a package in the working directory must not be taken for it.
        command = [sys.executable, "-P", "-m", "pajamas.testing.child", question, str(answers)]
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **same_path()},
                start_new_session=os.name == "posix",
            )
            failed = None
            try:
                child.communicate(json.dumps(request).encode(), timeout=SECONDS)
            except subprocess.TimeoutExpired:
                failed = f"no answer within {SECONDS:.0f} s"
            finally:
                _kill(child)
        lines = answers.read_text("utf-8").splitlines(keepends=True)
        found: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]
        if failed is None and child.returncode:
            failed = _describe_exit(child.returncode) + _last_words(log)
        if failed is None and not found:
            failed = "the process ended without an answer" + _last_words(log)
        return found if failed is None else [*found, {"failed": failed}]


def ask_each(question: str, paths: Iterable[Path], **request: Any) -> list[dict[str, Any]]:
    """An answer for each path. One that ends the process, or hangs, has its answer; the rest go on in a new one."""
    todo = [str(path) for path in paths]
    answers: list[dict[str, Any]] = []
    while len(answers) < len(todo):
        answers += ask_all(question, paths=todo[len(answers) :], **request)
    return answers[: len(todo)]


def same_path() -> Mapping[str, str]:
    """Environment variables that let a child import what this process can import."""
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path for path in sys.path if path))}


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child, and with it what it has started."""
    if child.returncode is None:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
        child.wait()


def _describe_exit(status: int) -> str:
    if status > 0:
        return f"the process ended with exit status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return f" ({' | '.join(line[:200] for line in lines[-3:])})" if lines else ""
