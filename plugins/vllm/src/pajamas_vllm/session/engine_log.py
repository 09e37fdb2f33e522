"""What vLLM's processes print: kept for errors and for -v, and not on the user's terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from multiprocessing import context
from typing import Any

log = logging.getLogger(__name__)

_KEPT = 400
"""Lines."""
_ERROR = re.compile(r"(?:^|\s|\])((?:\w+\.)*\w*(?:Error|Exception)): (\S.*)$")


class EngineLog:
    """A pipe that the processes write to in place of standard output and error, and a thread that reads it."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT)
        read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(read,), name="vllm-log", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """Processes that multiprocessing spawns meanwhile, in any thread, write to this log."""

        def redirected(process: Any) -> Any:
            with _standard_streams(self._write):
                return spawn(process)

        started: Any = context.SpawnProcess
        spawn = started._Popen
        started._Popen = staticmethod(redirected)
        try:
            yield
        finally:
            started._Popen = staticmethod(spawn)

    def reason(self) -> str:
        """The last error that was printed, "ValueError: ..."; empty if there is none."""
        found = [match for match in map(_ERROR.search, self._lines) if match]
        return f"{found[-1][1].rpartition('.')[2]}: {found[-1][2]}"[:500] if found else ""

    def close(self) -> None:
        """The processes have been started or have failed: what they say is read until the last of them ends."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def wait(self, seconds: float) -> None:
        """Until all is read that processes wrote that have ended."""
        self._thread.join(seconds)

    def _read(self, pipe: int) -> None:
        with open(pipe, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if text := line.rstrip():
                    self._lines.append(text)
                    log.info("%s", text)


@contextlib.contextmanager
def _standard_streams(descriptor: int) -> Iterator[None]:
    """Standard output and error lead to `descriptor` for the moment that it takes to start a process."""
    kept = [os.dup(stream) for stream in (1, 2)]
    try:
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        yield
    finally:
        for stream, was in zip((1, 2), kept, strict=True):
            os.dup2(was, stream)
            os.close(was)
