"""Programs that make an environment, run with progress and never left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pajamas.errors import DownloadError, EngineError, NotEnoughDisk, PajamasError
from pajamas.progress import Progress, Stage

_LARGE = 5_000_000
"""Bytes of a download that is worth a line of its own."""
_DOWNLOAD = re.compile(r"Downloading (?P<url>\S+) \(")
_SHARE = re.compile(r"Progress (?P<done>\d+) of (?P<total>\d+)$")
_LAST_WORDS = 12

# PR_SET_PDEATHSIG of prctl(2): pip ends when this process is killed, and nothing goes on in the background.
_PIP = """\
import runpy, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def make_venv(folder: Path, log: Path) -> Path:
    """A new virtual environment with pip in `folder`; its interpreter.

    Raises:
        EngineError: Python's own venv fails.
        NotEnoughDisk: the disk became full.
    """
    _run([sys.executable, "-I", "-m", "venv", str(folder)], log, "Python's venv module failed.", _Reader(None))
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run_pip(python: Path, arguments: Sequence[str], log: Path, progress: Progress, title: str) -> None:
    """`pip ARGUMENTS` of an environment; all that it says is added to `log`.

    Raises:
        DownloadError: the network fails, or the package index has not what is asked for.
        NotEnoughDisk: the disk became full.
        EngineError: it fails otherwise.
    """
    # -I: neither PYTHONPATH nor the user's own packages; pip's settings (pip.conf, PIP_...) are read all the same.
    command = [str(python), "-I", "-c", _PIP, *arguments]
    with progress.stage(title, None, "packages") as stage, _Reader(progress, stage) as reader:
        _run(command, log, "pip failed.", reader)


class _Reader:
    """Turns what pip prints into progress: a stage for each large download, and a count of packages."""

    def __init__(self, progress: Progress | None, stage: Stage | None = None) -> None:
        self._progress, self._stage = progress, stage
        self._download = ExitStack()
        self._name = ""
        self._current: Stage | None = None
        self._done = 0

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._download.close()

    def take(self, line: str) -> bool:
        """Whether the line is worth keeping: not if it only says how far a download is."""
        if found := _SHARE.match(line):
            self._advance(int(found["done"]), int(found["total"]))
            return False
        self._download.close()
        self._current = None
        words = line.split()
        if words[:1] == ["Collecting"] and self._stage is not None:
            self._stage.advance(1, words[1])
        elif found := _DOWNLOAD.search(line):
            self._name = found["url"].rpartition("/")[2].partition("#")[0]
        return True

    def _advance(self, done: int, total: int) -> None:
        if self._current is None and self._progress is not None and total >= _LARGE:
            self._current = self._download.enter_context(self._progress.stage(self._name, total, "bytes"))
            self._done = 0
        if self._current is not None:
            self._current.advance(done - self._done)
            self._done = done


def _run(command: list[str], log: Path, what: str, reader: _Reader) -> None:
    last: deque[str] = deque(maxlen=_LAST_WORDS)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    except OSError as error:
        raise EngineError(what, f"{command[0]} cannot be run: {error}", "") from error
    assert process.stdout is not None
    try:
        with log.open("a", encoding="utf-8", errors="replace") as file:
            for line in process.stdout:
                if reader.take(line.rstrip()):
                    file.write(line)
                    if line.strip():
                        last.append(line.strip())
        process.wait()
    finally:
        process.kill()
        process.communicate()
    if process.returncode:
        raise _failure(what, list(last), log)


def _failure(what: str, last: list[str], log: Path) -> PajamasError:
    errors = [line.removeprefix("ERROR: ") for line in last if line.startswith("ERROR:")]
    errors = errors or [line for line in last if "error" in line.lower()][-2:] or last[-3:]
    why = f"{' '.join(errors)[-600:]} (all of what it said: {log})"
    text = " ".join(last)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return NotEnoughDisk("The disk became full.", why, "Free some space, or set PAJAMAS_ENVIRONMENTS.")
    if "No matching distribution" in text or "ConnectionError" in text or "Max retries" in text or "Timeout" in text:
        fix = "Check the network and pip's settings (`pip config list`); --pip-args passes options to pip."
        return DownloadError(what, why, fix)
    return EngineError(what, why, "Mend what it names; --pip-args passes options to pip.")
