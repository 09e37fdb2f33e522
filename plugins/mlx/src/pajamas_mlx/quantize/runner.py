"""The parent's side of the child process: start it, follow it, and never leave it behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import attrs

from pajamas.errors import EngineCrashed, EngineMissing, error_class
from pajamas.progress import Progress, Stage
from pajamas_mlx.quantize.task import Result, Task

# -P: the current folder may hold anything, and must not be imported from.
CHILD = [sys.executable, "-P", "-m", "pajamas_mlx.quantize.child"]
_TAIL = 8192
_TAIL_LINES = 5


def run_task(task: Task, folder: Path, progress: Progress, planned: Callable[[int], None]) -> Result:
    """Run one task to its end; `folder` takes the engine's log, and `planned` hears the size before it is written.

    However this returns or raises, the child is dead.

    Raises:
        PajamasError: of the child, or of `planned`.
        EngineCrashed: the child died, with its last words.
    """
    with (folder / "engine.log").open("w+b") as log:
        process = subprocess.Popen(
            CHILD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"},
        )
        try:
            ended = _follow(process, task, progress, planned)
            process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended is None:
            raise _crashed(process.returncode, log)
    if ended.pop("event") == "failed":
        raise error_class(ended["kind"])(ended["what"], ended["why"], ended["fix"])
    return Result(**ended)


def _follow(
    process: subprocess.Popen[bytes], task: Task, progress: Progress, planned: Callable[[int], None]
) -> dict[str, Any] | None:
    """Read all events; the one that tells how it ended is returned, None if the child died before."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(attrs.asdict(task)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    ended = None
    with ExitStack() as stack:
        stage: Stage | None = None
        for line in process.stdout:
            event = json.loads(line)
            match event["event"]:
                case "stage":
                    stack.close()
                    stage = stack.enter_context(progress.stage(event["title"], event["total"], event["unit"]))
                case "advance" if stage is not None:
                    stage.advance(event["amount"], event["note"])
                case "planned":
                    planned(event["size"])
                case _:
                    ended = event
    return ended


def _crashed(code: int, log: IO[bytes]) -> EngineCrashed | EngineMissing:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    if lines and lines[-1].startswith("ModuleNotFoundError") and "mlx" in lines[-1]:
        return EngineMissing("mlx-lm is not installed.", lines[-1], "pip install pajamas-mlx")
    how = f"exit code {code}"
    if code < 0:
        how = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    fix = (
        "The system may have run out of memory."
        if code == -signal.SIGKILL
        else "The source may be damaged; if it is sound, MLX has a fault."
    )
    return EngineCrashed(
        f"The conversion by mlx-lm died ({how}).", "Its last words: " + " | ".join(lines[-_TAIL_LINES:]), fix
    )
