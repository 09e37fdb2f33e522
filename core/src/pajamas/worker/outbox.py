"""What a worker says, in order. Pieces of an answer that come faster than anyone reads go out together.

A write costs more than a small model's token: the pipe, and on the other side a wake-up for each.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable


class Outbox:
    """Frames for a pipe, from any thread.

    Args:
        descriptor: of the pipe.
        broken: called when nobody reads it any more.
    """

    def __init__(self, descriptor: int, broken: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._broken = broken
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._written = 0.0
        self._due = 0.0
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._flusher: threading.Thread | None = None

    def send(self, frame: bytes) -> None:
        """At once, after everything that was held back."""
        with self._lock:
            self._pending.append(frame)
            self._write()

    def send_soon(self, frame: bytes, delay: float) -> None:
        """With others, at most `delay` seconds after the last write."""
        with self._lock:
            self._pending.append(frame)
            self._due = self._written + delay
            if time.monotonic() >= self._due:
                self._write()
            elif not self._wake.is_set():
                self._wake.set()
                if self._flusher is None:
                    self._flusher = threading.Thread(target=self._flush, name="pajamas-outbox", daemon=True)
                    self._flusher.start()

    def close(self) -> None:
        """End the thread that writes what was held back; what still is goes nowhere."""
        self._closed.set()
        self._wake.set()
        if self._flusher is not None:
            self._flusher.join()

    def _flush(self) -> None:
        """Write what is left when no later frame has taken it along."""
        while True:
            self._wake.wait()
            if self._closed.wait(max(0.0, self._due - time.monotonic())):
                return
            with self._lock:
                if self._pending and time.monotonic() < self._due:
                    continue
                self._wake.clear()
                if self._pending:
                    self._write()

    def _write(self) -> None:
        data = memoryview(b"".join(self._pending))
        self._pending.clear()
        self._written = time.monotonic()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BrokenPipeError:
            self._broken()
