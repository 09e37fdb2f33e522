"""One model's workers, and the requests that wait for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pajamas.errors import EngineCrashed, EngineError, NotEnoughMemory, PajamasError, Unsupported
from pajamas.types import Feature
from pajamas_serve.errors import Unavailable, copied, stopping
from pajamas_serve.pool.beginnings import marks
from pajamas_serve.pool.breaker import State
from pajamas_serve.pool.loader import Loader
from pajamas_serve.pool.member import Member, Phase, Slot, choose
from pajamas_serve.pool.memory import Held, NoRoomYet, TooLarge
from pajamas_serve.pool.pieces import Pieces
from pajamas_serve.pool.policy import PoolView, decide
from pajamas_serve.pool.queue import Queue
from pajamas_serve.pool.starts import Starts

if TYPE_CHECKING:
    from pajamas.worker.asynchronous import AsyncWorker
    from pajamas.worker.protocol import Facts
    from pajamas_serve.pool.memory import Memory
    from pajamas_serve.settings import ModelSpec, PoolSettings

log = logging.getLogger(__name__)


class ModelPool:
    """Workers of one model for one purpose. Everything but the workers' loading runs in one event loop.

    Args:
        embeddings: the sessions embed instead of generating.
        clock: of the policies, in seconds.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: PoolSettings,
        memory: Memory,
        *,
        embeddings: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.embeddings = embeddings
        self.settings = settings
        self.min_workers = settings.min_workers if spec.pinned and not embeddings else 0
        self.starting = Starts(spec.name, settings)
        self.breaker = self.starting.breaker
        self.members: dict[int, Member] = {}
        self.queue = Queue()
        self.facts: Facts | None = None
        """What the model's sessions say of themselves; known once the first was loaded, and kept."""
        self.pieces = Pieces()
        self.crashes = self.starts = 0
        self._memory = memory
        self._clock = clock
        self._loader = Loader(spec, settings, memory, self, embeddings=embeddings)
        self._closing = False
        self._loads: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def refused(self) -> PajamasError | None:
        """Why this model can never be loaded for this purpose here."""
        return self.starting.refused

    @property
    def ready(self) -> int:
        return sum(member.phase is Phase.READY for member in self.members.values())

    async def learn(self) -> Facts:
        """Load the model if it never was, to know what it can do."""
        if self.facts is None:
            async with self.any_worker() as worker:
                return worker.facts
        return self.facts

    @asynccontextmanager
    async def slot(self, prompt: str | Sequence[int] | None = None) -> AsyncIterator[Slot]:
        """A place in a worker, waited for in order of arrival; in one that knows how `prompt` begins, if it can be.

        Raises:
            Unavailable: the breaker is open, the queue is full, or the wait was too long.
            PajamasError: no worker could be loaded.
        """
        slot = await self._acquire(prompt)
        answered = False
        try:
            yield slot
            answered = True
        finally:
            slot.release(answered=answered)

    @asynccontextmanager
    async def any_worker(self) -> AsyncIterator[AsyncWorker]:
        """One that is loaded, for calls that take no slot. It is not ended as idle before the context ends."""
        member = next((member for member in self.members.values() if member.able is not None), None)
        if member is None:
            slot = await self._acquire(None)
            try:
                yield slot.worker
            finally:
                slot.release(answered=False)  # it has computed nothing: as a probe it says nothing
            return
        assert member.worker is not None
        member.visitors += 1
        try:
            yield member.worker
        finally:
            member.visitors -= 1
            member.idle_since = self._clock()

    def review(self) -> None:
        """Look at everything again: called when anything has changed, and by a clock."""
        now = self._clock()
        self.queue.serve(lambda prompt: choose(self.members.values(), prompt), now)
        self._refuse_late(now)
        for member in self.members.values():
            member.kill_if_stalled(now, self.settings.stall_timeout)
        if self._closing or self.refused is not None:
            return
        actions = decide(self._view(now))
        for id in actions.stop:
            if worker := self._retire(self.members[id]):
                _run(self._close(self.members[id], worker), self._ends)
        for _ in range(self.starting.allowed(actions.start, len(self.members), now)):
            member = Member(since=now, slots=self.settings.slots_each)
            self.members[member.id] = member
            _run(self._load(member), self._loads)

    async def end(self, member: Member) -> None:
        """End one worker; an answer that it is giving ends with an error."""
        if worker := self._retire(member):
            await self._close(member, worker)

    async def close(self) -> None:
        """End all workers, also those that are still loading."""
        self._closing = True
        self.queue.refuse(stopping())
        for task in [*self._loads]:
            task.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)
        for member in self.members.values():
            if member.busy and member.worker is not None:
                member.worker.condemn(stopping())
        await asyncio.gather(*(self.end(member) for member in [*self.members.values()]))
        await asyncio.gather(*self._ends, return_exceptions=True)

    async def _acquire(self, prompt: str | Sequence[int] | None) -> Slot:
        now = self._clock()
        probing = self.breaker.state(now) is State.HALF_OPEN
        if self._closing:
            raise stopping()
        if self.refused is not None:
            raise copied(self.refused)
        if len(self.queue) >= self.settings.max_queue:
            raise Unavailable("The queue is full.", f"{len(self.queue)} requests wait for {self.spec.name!r}.")
        if not self.breaker.admit(now):
            raise self.starting.refusal(now)
        entry = self.queue.join(now, marks(prompt))
        self.review()
        try:
            member = await entry.future
        except BaseException:
            if (given := self.queue.leave(entry)) is not None:
                self._give_back(given, probing=probing, answered=False)
            elif probing:
                self.breaker.abandoned()
            raise
        return Slot(member, lambda answered: self._give_back(member, probing=probing, answered=answered))

    def _give_back(self, member: Member, *, probing: bool, answered: bool) -> None:
        member.busy -= 1
        member.answered += answered
        member.idle_since = self._clock()
        if probing and answered:
            self.breaker.succeeded()
        elif probing:
            self.breaker.abandoned()
        self.review()

    def _view(self, now: float) -> PoolView:
        return PoolView(
            workers=tuple(m.view() for m in self.members.values() if m.phase is not Phase.ENDING),
            slots=max((m.slots for m in self.members.values() if m.worker), default=self.settings.slots_each),
            waiting=len(self.queue),
            oldest_wait=self.queue.oldest_wait(now),
            min_workers=self.min_workers,
            max_workers=self.settings.max_workers,
            idle_timeout=self.settings.idle_timeout,
            scale_delay=self.settings.scale_delay,
            now=now,
        )

    def _refuse_late(self, now: float) -> None:
        """Requests that have waited too long; while no worker is ready they wait for a load, which has its own end."""
        ready = [member.since for member in self.members.values() if member.phase is Phase.READY]
        limit = self.settings.queue_timeout
        if ready and now - min(ready) > limit:
            self.queue.refuse(Unavailable(f"No slot was free for {limit:g} seconds.", retry_after=5.0), now - limit)
        elif self.starting.short is not None and not self.members:
            self.queue.refuse(self.starting.short, now - limit)

    async def _load(self, member: Member) -> None:
        try:
            worker = await self._loader.start(member, lambda error: self._exited(member, error))
        except (TooLarge, Unsupported) as error:
            log.error("%s: %s", self.spec.name, _line(error))
            self.starting.refused = error
            await self._forget(member)
            self.queue.refuse(error)
        except NotEnoughMemory as error:
            if self.starting.short is None or self.starting.short.what != error.what:  # it is tried every few seconds
                log.warning("%s: %s", self.spec.name, _line(error))
            soon = isinstance(error, NoRoomYet)  # those who wait do so until it comes, as long as they may
            self.starting.no_room(error, self._clock(), soon=soon)
            await self._forget(member)
            if not soon:
                self._refuse_if_alone(error)
        except PajamasError as error:
            await self._lost(member, error)
        except Exception as fault:  # all of them: those who wait must be told
            log.exception("%s: worker %s could not be started.", self.spec.name, member.id)
            await self._lost(member, EngineError("No worker could be started.", f"{type(fault).__name__}: {fault}"))
        except asyncio.CancelledError:
            await self._forget(member)
            raise
        else:
            member.worker, member.phase = worker, Phase.READY
            member.since = member.idle_since = member.last_sign = self._clock()
            member.slots = self.settings.slots_each if Feature.PARALLEL in worker.facts.features else 1
            if self.facts != worker.facts:  # another file may lie there now
                self.facts, self.pieces = worker.facts, Pieces()
            self.starts += 1
            self.starting.short = None
            log.info("%s: worker %s is ready (process %s).", self.spec.name, member.id, worker.pid)
        self.review()

    def _retire(self, member: Member) -> AsyncWorker | None:
        """At once it gets no more requests; its worker, to be closed, if nobody else closes it."""
        if member.phase is not Phase.READY:
            return None
        member.phase = Phase.ENDING
        self._memory.ledger.releasing(member)
        return member.worker

    async def _close(self, member: Member, worker: AsyncWorker) -> None:
        held = self._memory.held(worker.pid)
        await worker.close()
        await self._forget(member, held)
        log.info("%s: worker %s has ended.", self.spec.name, member.id)

    async def _lost(self, member: Member, error: PajamasError) -> None:
        """It could not be loaded."""
        self._failed(member, error)
        await self._forget(member)
        self._refuse_if_alone(error)

    def _exited(self, member: Member, error: PajamasError) -> None:
        if member.phase is Phase.ENDING:
            return
        self._failed(member, error)
        _run(self._forget(member), self._ends)
        if self.breaker.state(self._clock()) is State.OPEN:
            self.queue.refuse(self.starting.refusal(self._clock()))

    def _failed(self, member: Member, error: PajamasError) -> None:
        member.phase = Phase.ENDING
        self._memory.ledger.releasing(member)
        self.crashes += isinstance(error, EngineCrashed)
        self.starting.failed(self._clock())
        log.error("%s: worker %s failed: %s", self.spec.name, member.id, _line(error))

    async def _forget(self, member: Member, held: Held | None = None) -> None:
        await self._memory.release(member, member.worker.pid if member.worker else None, held)
        self.members.pop(member.id, None)
        self.review()

    def _refuse_if_alone(self, error: PajamasError) -> None:
        if not self.members:
            self.queue.refuse(error)


def _line(error: PajamasError) -> str:
    return " ".join(str(error).splitlines())


def _run(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
