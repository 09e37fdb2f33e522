"""One worker of a pool: how far it is, what it does, and the slot that a request holds in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncGenerator, Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import define, field

from pajamas_serve.errors import Stalled
from pajamas_serve.pool.beginnings import Beginnings, Marks
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
    """Slots that are taken."""
    visitors: int = 0
    """Calls that take no slot."""
    idle_since: float = 0.0
    last_sign: float = 0.0
    """When it last began or gave anything for a request, whether its client reads or not."""
    answers: int = 0
    """Of the worker, at that time."""
    answered: int = 0
    beginnings: Beginnings = field(factory=Beginnings)

    @property
    def able(self) -> AsyncWorker | None:
        """The worker, if it can be asked. A process that has died cannot, though its pool may not have been told yet;
        nor one that gives no sign of life: what it is asked would wait until it is killed."""
        worker = self.worker
        ready = self.phase is Phase.READY and worker is not None and not worker.dead and worker.responsive
        return worker if ready else None

    @property
    def free(self) -> int:
        """Slots."""
        return self.slots - self.busy if self.able is not None else 0

    @property
    def idle(self) -> bool:
        """Whether it may be ended: nobody uses it."""
        return self.phase is Phase.READY and not self.busy and not self.visitors

    def take(self, prompt: Marks, now: float) -> None:
        """Give a slot to a request."""
        self.busy += 1
        self.last_sign = now
        self.beginnings.add(prompt, self.slots)

    def view(self) -> WorkerView:
        """As the policy sees it."""
        idle_since = math.inf if self.visitors else self.idle_since
        return WorkerView(id=self.id, ready=self.phase is Phase.READY, busy=self.busy, idle_since=idle_since)

    def kill_if_stalled(self, now: float, limit: float) -> None:
        """An engine can be stuck though its process answers pings."""
        if self.phase is not Phase.READY or self.worker is None:
            return
        if self.worker.answers != self.answers:
            self.answers, self.last_sign = self.worker.answers, now
        silent = now - self.last_sign
        if self.busy and silent > limit:
            self.last_sign = now
            self.worker.condemn(
                Stalled("The worker gave no token and was killed.", f"It was silent for {silent:.0f} seconds.")
            )


def choose(members: Iterable[Member], prompt: Marks) -> Member | None:
    """The worker for a prompt: that which knows most of its beginning, unless it is much busier than others; then that
    which has least to do. None: all are busy."""
    free = [member for member in members if member.free > 0]
    least = min((member.busy for member in free), default=0)
    near = [member for member in free if member.busy - least <= member.slots // 2]
    return max(near, key=lambda one: (one.beginnings.common(prompt), -one.busy, -one.id), default=None)


class Slot:
    """A request's place in a worker. Give it back by `release`, however the request ends."""

    def __init__(self, member: Member, release: Callable[[bool], None]) -> None:
        assert member.worker is not None
        self.worker: AsyncWorker = member.worker
        self._release: Callable[[bool], None] | None = release
        self._stream: AsyncStream[Chunk] | None = None

    @property
    def facts(self) -> Facts:
        """What the worker's session says of itself."""
        return self.worker.facts

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[list[Chunk], None]:
        """What has arrived, at least one chunk at a time. Releasing the slot stops the engine."""
        # The place is free when the engine is done, however slowly the client reads.
        self._stream = self.worker.generate(request, on_end=self._give_back)
        async for chunk in self._stream:
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
