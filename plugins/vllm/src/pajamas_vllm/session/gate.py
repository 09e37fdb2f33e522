"""Who may be computed beside whom."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gate:
    """A fair lock of an event loop: any number of usual requests at once, or one that must be alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = False
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()

    @asynccontextmanager
    async def enter(self, *, alone: bool) -> AsyncIterator[None]:
        if self._waiting or not self._fits(alone):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((turn, alone))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                else:
                    with suppress(ValueError):  # who left in the same turn of the loop has passed it over
                        self._waiting.remove((turn, alone))
                    self._let_in()
                raise
        else:
            self._take(alone)
        try:
            yield
        finally:
            self._leave()

    def _fits(self, alone: bool) -> bool:
        return not self._alone and not (alone and self._inside)

    def _take(self, alone: bool) -> None:
        self._inside += 1
        self._alone = alone

    def _leave(self) -> None:
        self._inside -= 1
        self._alone = False
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._fits(self._waiting[0][1]):
            turn, alone = self._waiting.popleft()
            if not turn.cancelled():
                self._take(alone)
                turn.set_result(None)
