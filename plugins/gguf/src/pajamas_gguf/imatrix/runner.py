"""The parent's side of the child that computes an importance matrix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from pajamas.errors import EngineError, EngineMissing, PajamasError, UsageError
from pajamas.progress import Progress
from pajamas_gguf.imatrix.child import Task
from pajamas_gguf.quantize.runner import crashed


def compute(task: Task, folder: Path, progress: Progress) -> int:
    """Run the task; `folder` takes the engine's log. However this returns or raises, the child is dead.

    :returns: how many tokens were computed.

    Raises:
        UsageError: the text is too short for one chunk.
        EngineMissing, EngineError: the engine is not here, or refused.
        EngineCrashed: the child died, with the engine's last log lines.
    """
    with (folder / "imatrix.log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pajamas_gguf.imatrix.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )
        try:
            started, ended = _follow(process, task, progress)
            process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended is None:
            raise crashed(process.returncode, log, "computation of the importance matrix")
    if ended["event"] == "done":
        return int(started["tokens"])
    kinds: dict[str, type[PajamasError]] = {"missing": EngineMissing, "unusable": UsageError}
    raise kinds.get(ended["event"], EngineError)(ended["what"], ended["why"], ended["fix"])


def _follow(
    process: subprocess.Popen[bytes], task: Task, progress: Progress
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The first event and the one that tells how it ended; None if the child died before."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(attrs.asdict(task)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return {}, None
    events = (json.loads(line) for line in process.stdout)
    first: dict[str, Any] | None = next(events, None)
    if first is None or first["event"] != "started":
        return {}, first
    with progress.stage("Computing the importance matrix", first["chunks"], "windows") as stage:
        for event in events:
            if event["event"] != "chunks":
                return first, event
            stage.advance(event["count"])
    return first, None
