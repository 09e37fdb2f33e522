"""Who is computed when: jobs of many threads, in steps that one thread at a time does for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pajamas.errors import EngineError
from pajamas.turns import Turns
from pajamas.types import Chunk
from pajamas_mlx.batching.job import Job
from pajamas_mlx.batching.lane import Lane

WAITING_EACH = 32
"""Requests that may wait for one that is answered."""


class Scheduler:
    """Has no thread of its own: a thread that waits for its answer computes for all until it has something to take.

    So of a single caller nothing is computed that it has not asked for; and of several callers one lets the engine
    compute while the others wait. Whoever holds `turns` may use the lane.

    :param most_waiting: jobs without a place. One more is refused.
    """

    def __init__(self, lane: Lane, most_waiting: int) -> None:
        self.turns = Turns()
        self.lane = lane
        self.closed = False
        self.steps = 0
        self._most_waiting = most_waiting
        self._came: deque[Job] = deque()  # from any thread; the rest only by who has the turn
        self._waiting: list[Job] = []

    def add(self, job: Job) -> None:
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
        self._came.append(job)

    def next(self, job: Job) -> Chunk | None:
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
            worked = self.lane.step()
            self.steps += 1
            self.sweep()
            if not worked:
                self._unblock()
        finally:
            self.turns.wake()

    def cancel(self, job: Job) -> None:
        """End a job, from any thread: at once, or after the step that is being computed."""
        job.cancelled = True
        if self.turns.take_now():
            try:
                self.sweep()
            finally:
                self.turns.leave()

    def cancel_all(self) -> None:
        for job in self._jobs():
            job.cancelled = True
        for job in self._jobs():
            self.cancel(job)

    def close(self) -> None:
        """Cancel all jobs, and wait for the step that is being computed."""
        self.closed = True
        self.cancel_all()
        with self.turns:
            self._end_all()
            self.lane.clear()

    def sweep(self) -> None:
        """Let out what has ended or was cancelled."""
        while self._came:
            self._waiting.append(self._came.popleft())
        for job in self._waiting:
            _end_if_cancelled(job)
        self._waiting = [job for job in self._waiting if not job.ended]
        for job in list(self.lane.jobs):
            _end_if_cancelled(job)
            if job.ended:
                self.lane.release(job)
        if self.lane.put_back:
            self._waiting[:0] = self.lane.put_back
            self.lane.put_back = []

    def _admit(self) -> None:
        """In the order in which they came. Who does not fit holds up those behind: else it might wait for ever."""
        for job in list(self._waiting):
            if job.satisfied or self.lane.computes_beginning_of(job):
                continue
            try:
                if not self.lane.admit(job):
                    return
            except Exception as error:  # its reader gets it, who may be in another thread
                job.fail(error)
            self._waiting.remove(job)

    def _unblock(self) -> None:
        """All that have a place are paused, and somebody waits for one: the readers of those may never come back."""
        if any(not (job.ended or job.satisfied) for job in self._waiting) and self.lane.take_paused_place():
            self.sweep()

    def _end_all(self) -> None:
        for job in self._jobs():
            job.cancelled = True
        self.sweep()
        self.turns.wake()

    def _jobs(self) -> Iterator[Job]:
        yield from list(self._came)
        yield from list(self._waiting)
        yield from list(self.lane.jobs)


def _end_if_cancelled(job: Job) -> None:
    if job.cancelled and not job.ended:
        job.end("cancelled")
