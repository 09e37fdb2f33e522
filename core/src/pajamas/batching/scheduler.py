"""Who is computed when: jobs of many threads, in steps that one thread at a time does for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from pajamas.batching.job import BatchedJob
from pajamas.batching.turns import Turns
from pajamas.errors import EngineError
from pajamas.types import Chunk

WAITING_EACH = 32
"""Requests that may wait for one that is answered."""

JobT = TypeVar("JobT", bound=BatchedJob[Any])


class Lane(Protocol[JobT]):
    """Jobs that the engine computes together, and their places. It is used by one thread at a time."""

    jobs: list[JobT]
    """Those that have a place, in the order in which they came in."""
    put_back: list[JobT]
    """Jobs that have lost their place and must be admitted again; the scheduler empties it."""

    def admit(self, job: JobT) -> bool:
        """Give the job a place; False if there is none yet. A lane without jobs has one, or never will."""
        ...

    def computes_beginning_of(self, job: JobT) -> bool:
        """Whether the job should wait, because much of its beginning is just being computed for another."""
        ...

    def step(self) -> bool:
        """Compute something of each job that is not paused; False if there is none. What a job is to blame for, its
        `fail` is told.
        """
        ...

    def release(self, job: JobT) -> None:
        """The job has ended: its place is free."""
        ...

    def take_paused_place(self) -> bool:
        """Put a job back whose reader does not come; False if there is none."""
        ...

    def close(self) -> None:
        """Free what the engine holds: there are no jobs any more."""
        ...


LaneT = TypeVar("LaneT", bound=Lane[Any])


class BatchScheduler(Generic[JobT, LaneT]):
    """Has no thread of its own: a thread that waits for its answer computes for all until it has something to take.

    So a single caller computes in its own thread, as fast as it takes what comes and no further; and of several
    callers one computes while the others wait. Whoever holds `turns` may use the lanes.

    :param most_waiting: jobs without a place. One more is refused.
    """

    def __init__(self, lanes: Iterable[LaneT] = (), *, most_waiting: int) -> None:
        self.turns = Turns()
        self.lanes = list(lanes)
        self.closed = False
        self.steps = 0
        self._most_waiting = most_waiting
        self._tickets = count(1)
        self._last_ticket = self._cancelled_up_to = 0
        self._came: deque[JobT] = deque()  # from any thread; the rest only by who has the turn
        self._waiting: list[JobT] = []

    def lane_of(self, job: JobT) -> LaneT:
        """Where a job is computed: the first lane. To be defined where there are several.

        Raises:
            PajamasError: there is none for such a job; it has failed of that.
        """
        return self.lanes[0]

    def add(self, job: JobT) -> None:
        """Let a job wait for its place.

        Raises:
            EngineError: too many wait already.
        """
        waiting = len(self._came) + len(self._waiting)
        if waiting >= self._most_waiting:
            raise EngineError(
                "Too many requests wait for this model.",
                f"{waiting} do, and more are not taken.",
                "Ask again later, or load it with more max_sequences.",
            )
        job.ticket = self._last_ticket = next(self._tickets)
        self._came.append(job)

    def next(self, job: JobT) -> Chunk | None:
        """The job's next chunk, None after its last one. Computes, or waits for a thread that does.

        Raises:
            EngineError: what the job has failed of.
        """
        while not job.ready:
            if self.turns.take(unless=lambda: job.ready):
                try:
                    # Threads take turns step by step, so that one that is interrupted holds up nobody.
                    self.step()
                    while not job.ready and not self.turns.wanted:
                        self.step()
                finally:
                    self.turns.leave()
        if job.chunks:
            return job.chunks.popleft()
        if job.error is not None:
            raise job.error
        return None

    def step(self) -> None:
        """Let jobs in, compute something of each, and let out those that have ended."""
        try:
            if self.closed:
                self._end_all()
                return
            self.sweep()
            self._admit()
            worked = [lane.step() for lane in self.lanes]
            self.steps += 1
            self.sweep()
            if not any(worked):
                self._unblock()
        finally:
            self.turns.wake()

    def cancel(self, job: JobT) -> None:
        """End a job, from any thread: at once, or after the step that is being computed."""
        job.cancelled = True
        if self.turns.take_now():
            try:
                self.sweep()
            finally:
                self.turns.leave()

    def cancel_all(self) -> None:
        """End all jobs, as `cancel`."""
        # One that changes its place just now is not seen below: the next sweep knows it by its ticket.
        self._cancelled_up_to = self._last_ticket
        for job in self._jobs():
            job.cancelled = True
        for job in self._jobs():
            self.cancel(job)

    def close(self) -> None:
        """Cancel all jobs, wait for the step that is being computed, and close the lanes."""
        self.closed = True
        self.cancel_all()
        with self.turns:
            self._end_all()
            for lane in self.lanes:
                lane.close()
            self.lanes.clear()

    def sweep(self) -> None:
        """Let out what has ended or was cancelled."""
        while self._came:
            self._waiting.append(self._came.popleft())
        for job in self._waiting:
            self._end_if_cancelled(job)
        self._waiting = [job for job in self._waiting if not job.ended]
        for lane in self.lanes:
            for job in list(lane.jobs):
                self._end_if_cancelled(job)
                if job.ended:
                    lane.release(job)
            if lane.put_back:
                for job in lane.put_back:
                    self._end_if_cancelled(job)
                self._waiting[:0] = [job for job in lane.put_back if not job.ended]
                lane.put_back = []

    def _admit(self) -> None:
        """In the order in which they came. Who does not fit holds up those behind: else it might wait for ever."""
        full: list[LaneT] = []
        for job in list(self._waiting):
            if job.satisfied:
                continue
            try:
                lane = self.lane_of(job)
                if lane in full or lane.computes_beginning_of(job):
                    continue
                if not lane.admit(job):
                    full.append(lane)
                    continue
            except Exception as error:  # its reader gets it, who may be in another thread
                job.fail(error)
            self._waiting.remove(job)

    def _unblock(self) -> None:
        """All that have a place are paused, and somebody waits for one: the readers of those may never come back."""
        for job in self._waiting:
            if job.ended or job.satisfied:
                continue
            lane = self.lane_of(job)
            # With jobs in it, of which none is paused any more, the next step goes on.
            if not lane.take_paused_place() and not lane.jobs:
                job.fail(EngineError("This request found no place.", "The engine's cache is full.", "Ask for less."))
            self.sweep()
            return

    def _end_all(self) -> None:
        for job in self._jobs():
            job.cancelled = True
        self.sweep()
        self.turns.wake()

    def _jobs(self) -> Iterator[JobT]:
        yield from list(self._came)
        yield from list(self._waiting)
        for lane in list(self.lanes):
            yield from list(lane.jobs)

    def _end_if_cancelled(self, job: JobT) -> None:
        if (job.cancelled or job.ticket <= self._cancelled_up_to) and not job.ended:
            job.end("cancelled")
