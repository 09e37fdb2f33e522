"""The parent's side of the quantizer's child process: start it, follow it, and never leave it behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import attrs
from attrs import field, mutable

from pajamas.errors import EngineCrashed, EngineError, EngineMissing, PajamasError, UnsupportedModel, UsageError
from pajamas.progress import Stage
from pajamas_gguf.quantize.child import Task

_TAIL = 8192
_TAIL_LINES = 5


@mutable(kw_only=True)
class Outcome:
    """What the child told, complete when `run_task` returns."""

    types: dict[str, str] = field(factory=dict)
    """Every tensor's type, in the file's order."""
    wanted: dict[str, str] = field(factory=dict)
    """The type that a tensor should have had, where its width did not allow it."""
    needs_imatrix: bool = False
    version: str = ""
    """llama.cpp's own version."""
    size: int = 0
    """Of a dry run: bytes of the file to be."""
    memory: dict[int, int] = field(factory=dict)
    """Of a dry run: context length to bytes."""
    unmeasured: str | None = None
    """Why `memory` lacks some of the contexts."""


def run_task(task: Task, folder: Path, stage: Stage) -> Outcome:
    """Run one task to its end; `folder` takes the engine's log, `stage` counts tensors.

    However this returns or raises, the child is dead.

    Raises:
        EngineMissing: the engine is not installed, or its parts do not fit each other.
        UnsupportedModel: the engine does not know the architecture.
        EngineError: the engine refused, with its own words.
        EngineCrashed: the child died, with the engine's last log lines.
    """
    outcome = Outcome()
    ended: dict[str, Any] | None = None
    with (folder / "engine.log").open("w+b") as log:
        process = subprocess.Popen(
            # -P: the current folder may hold anything, and must not be imported from.
            [sys.executable, "-P", "-m", "pajamas_gguf.quantize.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # The engine would start a debugger on itself when an assertion fails.
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )
        try:
            ended = _follow(process, task, outcome, stage)
            process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended is None:
            raise crashed(process.returncode, log)
        if not outcome.unmeasured and not outcome.memory.keys() >= set(task.contexts):
            died = crashed(process.returncode, log)
            outcome.unmeasured = f"{died.what} {died.why}"
    if ended["event"] == "missing":
        raise EngineMissing(ended["what"], ended["why"], ended["fix"])
    if ended["event"] == "failed":
        raise _refused(ended["lines"])
    outcome.version, outcome.size = ended["version"], ended.get("size", 0)
    return outcome


def _follow(process: subprocess.Popen[bytes], task: Task, outcome: Outcome, stage: Stage) -> dict[str, Any] | None:
    """Read all events; the one that tells how it ended is returned, None if the child died before."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(attrs.asdict(task)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    ended = None
    for line in process.stdout:
        event = json.loads(line)
        match event["event"]:
            case "tensor":
                stage.advance(0, event["name"])
            case "type":
                outcome.types[event["name"]] = event["type"]
                stage.advance(1, f"{event['name']} {event['type']}")
            case "fallback":
                outcome.wanted[event["name"]] = event["wanted"]
            case "imatrix":
                outcome.needs_imatrix = True
            case "memory":
                outcome.memory[event["context"]] = event["total"]
            case "unmeasured":
                outcome.unmeasured = event["why"]
            case _:
                ended = event
    return ended


def _refused(lines: list[str]) -> PajamasError:
    prefix = "failed to quantize: "
    why = (lines[-1].partition(prefix)[2] or lines[-1]) if lines else "It gave no reason."
    if "unknown model architecture" in why:
        return UnsupportedModel("llama.cpp cannot quantize this model.", why, "Update llama-cpp-python.")
    if "regular expression" in why or "regex" in why:
        return UsageError("llama.cpp cannot read an expression of --tensor-type.", why, "Use ECMAScript's syntax.")
    if "iostream error" in why:
        return EngineError("llama.cpp could not write the file.", why, "Is the disk full, or a limit reached?")
    return EngineError(
        "llama.cpp refused to quantize.", why, "The file may be damaged; `pajamas info` says what it is."
    )


def crashed(code: int, log: IO[bytes], who: str = "quantizer") -> EngineCrashed:
    """What to raise of a child that died with `code`; `log` holds what the engine said."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    how = f"exit code {code}"
    if code < 0:
        how = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    fix = (
        "The system may have run out of memory."
        if code == -signal.SIGKILL
        else "The source may be damaged; if it is sound, llama.cpp has a fault."
    )
    return EngineCrashed(f"llama.cpp's {who} died ({how}).", "Its last words: " + " | ".join(lines[-_TAIL_LINES:]), fix)
