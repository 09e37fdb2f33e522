"""Threads that judge rows of log-probabilities while the engine computes the next ones.

numpy works outside of Python's lock, so this keeps every core busy in both phases. What is waiting for a judge is
bounded: a piece is `PIECE` values of each model at most, and no more than `_WAITING` bytes of blocks are kept.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

PIECE = 1 << 19
"""Values of one model that one judge is given: 2 MiB."""
_WAITING = 32 << 20
"""Bytes. A block that is larger is judged before another is asked for."""
_MOST = 8
"""More threads than this wait for memory, not for each other."""


class Judges:
    """A context manager: work that was given before its end is done at its end, and an error raised is not lost."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(min(_MOST, _cores()), thread_name_prefix="judge")
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._bytes = 0

    def judge(self, size: int, work: Callable[[], None]) -> Future[None]:
        """Have `work` done, which keeps `size` bytes until then; waits where that is more than may be kept.

        Raises:
            Exception: what earlier work has raised.
        """
        future = self._threads.submit(work)
        self._waiting.append((size, future))
        self._bytes += size
        while self._waiting and (self._bytes > _WAITING or self._waiting[0][1].done()):
            held, oldest = self._waiting.popleft()
            self._bytes -= held
            oldest.result()
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
