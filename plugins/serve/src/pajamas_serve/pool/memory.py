"""Room for workers: what the machine has, what is reserved, and who must go so that another may come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from attrs import frozen

from pajamas.errors import NotEnoughMemory
from pajamas.operations.fitting import available_memory
from pajamas_serve.pool.ledger import Ledger, Stage

log = logging.getLogger(__name__)

_RETURN_SECONDS = 5.0
"""How long the system may take to show a dead process's memory as free."""
_SEEN = 256 << 20
"""Less than this is not told from what other programs take and give back meanwhile."""


def available() -> int:
    """Bytes that can be taken now."""
    import psutil

    found = available_memory()  # of a container, where this is one
    return int(psutil.virtual_memory().available) if found is None else found


@frozen
class Held:
    """What a process has before it ends."""

    size: int
    """Bytes that are its own; mapped files are not."""
    available: int
    """Of the system at that time."""


class TooLarge(NotEnoughMemory):
    """It does not fit, whoever goes."""


class NoRoomYet(NotEnoughMemory):
    """Others hold the room who are busy, and go as soon as they are not."""


class Memory:
    """Gives out memory one worker at a time.

    Args:
        limit: bytes for all workers together; None is what is free now.
        evict: end the worker that was needed least recently, and return once it is gone; False if none can go.
        busy: whether workers are there that could go but for what they are doing.
    """

    def __init__(
        self,
        limit: int | None,
        evict: Callable[[object], Awaitable[bool]],
        busy: Callable[[object], bool] = lambda _: False,
    ) -> None:
        self.ledger = Ledger(limit if limit is not None else available())
        self._evict = evict
        self._busy = busy
        self._released = asyncio.Event()
        self._turn = asyncio.Lock()

    async def reserve(self, key: object, size: int, owner: object) -> None:
        """Make room for a worker before it is loaded.

        Raises:
            TooLarge: it can never fit.
            NoRoomYet: others have it who will go.
            NotEnoughMemory: it does not fit, and nothing that could go is left.
        """
        if size > self.ledger.limit:
            raise TooLarge(
                f"A worker of {size / 1e6:,.0f} MB has no room here.",
                f"All workers together may take {self.ledger.limit / 1e6:,.0f} MB.",
                "Serve fewer slots, a shorter context or a smaller model, or raise --memory-limit.",
            )
        async with self._turn:
            while missing := self.ledger.shortage(size, available()):
                if self.ledger.at(Stage.RELEASING):  # some of it is on its way
                    self._released.clear()
                    await self._released.wait()
                elif not await self._evict(owner):
                    kind = NoRoomYet if self._busy(owner) else NotEnoughMemory
                    raise kind(
                        f"There is no room for a worker of {size / 1e6:,.0f} MB: {missing / 1e6:,.0f} MB are missing.",
                        f"{self.ledger.reserved / 1e6:,.0f} of {self.ledger.limit / 1e6:,.0f} MB are reserved, and "
                        "every other model is in use or pinned.",
                        "Wait until one is idle, serve fewer slots or a shorter context, or raise --memory-limit.",
                    )
            self.ledger.reserve(key, size)

    def held(self, pid: int) -> Held | None:
        """For `release`, before the process is told to end; None if it is gone."""
        import psutil

        try:
            info = psutil.Process(pid).memory_info()
        except psutil.Error:
            return None
        return Held(info.rss - getattr(info, "shared", 0), available())

    async def release(self, key: object, pid: int | None, held: Held | None = None) -> None:
        """Once the process has ended: give its room back when the system shows that it, and what it held, is gone."""
        import psutil

        for _ in range(round(_RETURN_SECONDS / 0.05)):
            if pid is None or not psutil.pid_exists(pid):
                break
            await asyncio.sleep(0.05)
        else:
            log.warning("Process %s has ended and is still there; its memory is counted as free.", pid)
        if held is not None and held.size >= _SEEN:
            await self._await_return(pid, held)
        size = self.ledger.released(key)
        self._released.set()
        log.debug("Released %.1f MB; %.1f MB are reserved.", size / 1e6, self.ledger.reserved / 1e6)

    async def _await_return(self, pid: int | None, held: Held) -> None:
        for _ in range(round(_RETURN_SECONDS / 0.05)):
            if available() >= held.available + held.size // 2:  # others take some of it meanwhile
                return
            await asyncio.sleep(0.05)
        log.warning(
            "Process %s held %.0f MB and has ended, and the system has %.0f MB more than before.",
            pid, held.size / 1e6, (available() - held.available) / 1e6,
        )  # fmt: skip

    @property
    def stages(self) -> dict[Stage, int]:
        """Bytes reserved at each stage."""
        return {stage: self.ledger.at(stage) for stage in Stage}
