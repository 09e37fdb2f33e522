"""Ctrl-C while the engine computes.

Python runs a signal's handler only between its own instructions, and an exception raised inside a callback is lost. So
a handler of ours notes the signal, the engine's callback sees the note and stops, and then the real handler runs.
"""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupt:
    """A context manager around a call into the engine, whose callback asks `wanted`."""

    def __init__(self) -> None:
        self.requested = False
        """Ctrl-C came."""
        self.cancelled = False
        """Somebody, perhaps in another thread, wants the work to end."""
        self._previous: Any = None

    @property
    def wanted(self) -> bool:
        return self.requested or self.cancelled

    def __enter__(self) -> Interrupt:
        self.requested = False
        self._previous = None
        # Only the main thread may set a handler, and only there do handlers run.
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._previous = handler
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            if self.requested:
                self._previous(signal.SIGINT, None)

    def _note(self, _number: int, _frame: object) -> None:
        self.requested = True
