"""The parent's side of the program in llm-compressor's environment: start it, follow it, and never leave it behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import attrs
from attrs import frozen

from pajamas import lifeline
from pajamas.errors import EngineCrashed, error_class
from pajamas.progress import Progress, Stage

_TAIL = 8192
_TAIL_LINES = 5


@frozen(kw_only=True)
class Task:
    """What goes to the program, as JSON. Paths are text."""

    source: str
    """A folder in Hugging Face layout."""
    output: str
    """The folder to fill, which is there and empty."""
    preset: str
    """compressed-tensors' name of the scheme."""
    dtype: str
    """torch's name, of what is not quantized."""
    layers: tuple[str, ...]
    ignored: tuple[str, ...]
    group_size: int | None
    text: str | None
    """A file with the calibration text, UTF-8; None rounds to nearest."""
    threads: int | None = None


@frozen(kw_only=True)
class Result:
    tokens: int
    """That were calibrated with."""
    versions: dict[str, str]


def run_task(python: Path, task: Task, folder: Path, progress: Progress) -> Result:
    """Run one task to its end; `folder` takes the engine's log.

    However this returns or raises, the child is dead.

    Raises:
        PajamasError: of the child.
        EngineCrashed: the child died, with its last words.
    """
    # -I: nothing of this environment reaches that one, whose packages are others.
    command = [str(python), "-I", str(Path(__file__).with_name("child.py")), str(lifeline.__file__)]
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    with (folder / "engine.log").open("w+b") as log:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder,
                env={**os.environ, **quiet},
            )  # fmt: skip
        except OSError as error:
            fix = "pajamas env create vllm-quantize --force"
            raise EngineCrashed(f"{python} cannot be run.", error.strerror or str(error), fix) from error
        try:
            ended = _follow(process, task, progress)
            process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended is None:
            raise _crashed(process.returncode, log)
    if ended.pop("event") == "failed":
        raise error_class(ended["kind"])(ended["what"], ended["why"], ended["fix"])
    return Result(**ended)


def _follow(process: subprocess.Popen[bytes], task: Task, progress: Progress) -> dict[str, Any] | None:
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
                case _:
                    ended = event
    return ended


def _crashed(code: int, log: IO[bytes]) -> EngineCrashed:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    how = f"exit code {code}"
    if code < 0:
        how = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    fix = (
        "The system may have run out of memory."
        if code == -signal.SIGKILL
        else "The source may be damaged; if it is sound, llm-compressor has a fault."
    )
    return EngineCrashed(
        f"The quantization by llm-compressor died ({how}).", "Its last words: " + " | ".join(lines[-_TAIL_LINES:]), fix
    )
