"""One worker of a pool: how far it is, what it does, and the slot that a request holds in it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import define, field

from pajamas_serve.errors import Stalled
from pajamas_serve.pool.policy import WorkerView

if TYPE_CHECKING:
    from pajamas.types import Chunk, GenerateRequest
    from pajamas.worker.asynchronous import AsyncStream, AsyncWorker
    from pajamas.worker.protocol import Facts

_NUMBERS = itertools.count(1)


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"


@define(eq=False)
class Member:
    """A worker in its pool. `worker` is there from READY on."""

    since: float
    """When its phase began."""
    id: int = field(factory=lambda: next(_NUMBERS))
    phase: Phase = Phase.STARTING
    worker: AsyncWorker | None = None
    slots: int = 1
    busy: int = 0
    idle_since: float = 0.0
    last_sign: float = 0.0
    """When it last began or gave anything for a request."""
    answered: int = 0

    @property
    def free(self) -> int:
        """Slots. A process that has died has none, though its pool may not have been told yet."""
        alive = self.phase is Phase.READY and self.worker is not None and not self.worker.dead
        return self.slots - self.busy if alive else 0

    def view(self) -> WorkerView:
        """As the policy sees it."""
        return WorkerView(id=self.id, ready=self.phase is Phase.READY, busy=self.busy, idle_since=self.idle_since)

    def kill_if_stalled(self, now: float, limit: float) -> None:
        """An engine can be stuck though its process answers pings."""
        silent = now - self.last_sign
        if self.phase is Phase.READY and self.busy and silent > limit and self.worker is not None:
            self.last_sign = now
            self.worker.condemn(
                Stalled("The worker gave no token and was killed.", f"It was silent for {silent:.0f} seconds.")
            )


class Slot:
    """A request's place in a worker. Give it back by `release`, however the request ends."""

    def __init__(
        self, member: Member, facts: Facts, clock: Callable[[], float], release: Callable[[bool], None]
    ) -> None:
        assert member.worker is not None
        self.facts = facts
        self.worker: AsyncWorker = member.worker
        self._member = member
        self._clock = clock
        self._release: Callable[[bool], None] | None = release
        self._stream: AsyncStream[Chunk] | None = None

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[list[Chunk], None]:
        """What has arrived, at least one chunk at a time. Releasing the slot stops the engine."""
        # The place is free when the engine is done, however slowly the client reads.
        self._stream = self.worker.generate(request, on_end=self._give_back)
        async for chunk in self._stream:
            self._member.last_sign = self._clock()
            chunks = [chunk]
            while (more := self._stream.ready()) is not None:
                chunks.append(more)
            yield chunks

    def release(self, *, answered: bool) -> None:
        """Args: answered: whether the answer came to its end."""
        if self._stream is not None:
            self._stream.close()
        self._give_back(answered)

    def _give_back(self, answered: bool) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(answered)
