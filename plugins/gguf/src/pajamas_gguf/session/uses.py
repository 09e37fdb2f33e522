"""Who is inside something of the engine's: it is freed after the last of them has left."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from pajamas.errors import EngineError


class Uses:
    """`with uses:` around what reads; `close` frees at once if nobody does, else the last reader does.

    :param free: called once.
    """

    def __init__(self, free: Callable[[], object]) -> None:
        self._free: Callable[[], object] | None = free
        self._lock = threading.RLock()  # a finalizer may close another one in the midst of this
        self._count = 0
        self._closed = False

    def __enter__(self) -> None:
        """Raises EngineError if it is closed."""
        with self._lock:
            if self._closed:
                raise EngineError("This session is closed.", "Its model is no longer in memory.", "Load it again.")
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            free = self._take_free()
        if free is not None:
            free()

    def close(self) -> None:
        """Nobody may enter any more."""
        with self._lock:
            self._closed = True
            free = self._take_free()
        if free is not None:
            free()

    def _take_free(self) -> Callable[[], object] | None:
        if not self._closed or self._count:
            return None
        free, self._free = self._free, None
        return free


def check_process(process: int) -> None:
    """Refuse what a fork of the process that has loaded a model cannot do.

    Raises:
        EngineError: this is one.
    """
    if process != os.getpid():
        raise EngineError(
            "This session belongs to the process that has loaded it.",
            "A fork has none of the engine's threads: it would wait for ever.",
            "Load the model in the child, or start children by spawn.",
        )
