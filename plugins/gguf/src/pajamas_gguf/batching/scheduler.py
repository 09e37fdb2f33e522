"""Who is computed when: jobs of many threads, in steps that one thread at a time does for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from pajamas.errors import EngineError, PajamasError
from pajamas.turns import Turns
from pajamas.types import Chunk
from pajamas_gguf.batching.job import Job
from pajamas_gguf.batching.lane import Lane
from pajamas_gguf.session.interrupt import Interrupt
from pajamas_gguf.session.sequence import Sequence

WAITING_EACH = 32
"""Requests that may wait for one that is answered."""


class Scheduler:
    """Has no thread of its own: a thread that waits for its answer computes for all until it has something to take.

    So a single caller computes in its own thread, as fast as it takes what comes and no further; and of several
    callers one computes while the others wait. Whoever holds `turns` may use the lanes.

    :param make_lane: a new lane: for jobs that are computed together, or (with True) for exact ones, one at a time.
    :param single: jobs of both kinds use the first lane, which has one sequence.
    :param most_waiting: jobs without a place. One more is refused.
    """

    def __init__(self, make_lane: Callable[[bool], Lane], *, single: bool, most_waiting: int) -> None:
        self.turns = Turns()
        self.lanes: dict[bool, Lane] = {}
        self.closed = False
        self.steps = 0
        self._make_lane = make_lane
        self._single = single
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
                "too many requests wait for this model",
                f"{waiting} do, and more are not taken",
                "ask again later, or load it with more max_sequences",
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
        """Let jobs in, compute a batch of each lane, and let out those that have ended."""
        if self.closed:
            self._end_all()
            return
        try:
            # Ctrl-C waits until all is in order again; a long computation it breaks off.
            with Interrupt():
                for lane in self.lanes.values():
                    lane.context.cancelled = False
                self.sweep()
                self._admit()
                worked = [lane.step() for lane in list(self.lanes.values())]
                self.steps += 1
                self.sweep()
                if not any(worked):
                    self._unblock()
        finally:
            self.turns.wake()

    def cancel(self, job: Job) -> None:
        """End a job, from any thread."""
        job.cancelled = True
        for lane in list(self.lanes.values()):
            if lane.computing and all(one.cancelled for one in lane.computing):
                lane.context.cancelled = True
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

    def lane(self, *, exact: bool) -> Lane:
        """The lane for jobs of that kind, made if there is none yet."""
        key = exact and not self._single
        if key not in self.lanes:
            self.drop_unused()
            self.lanes[key] = self._make_lane(key)
        return self.lanes[key]

    @property
    def last(self) -> Sequence | None:
        """The sequence that a job was given or has left last."""
        last = [lane.last for lane in self.lanes.values() if lane.last is not None]
        return max(last, key=lambda sequence: sequence.used, default=None)

    def drop_unused(self) -> None:
        """Free the contexts in which nothing has been computed."""
        for key, lane in list(self.lanes.items()):
            if not lane.used:
                lane.context.close()
                del self.lanes[key]

    def close(self) -> None:
        """Cancel all jobs, wait for the step that is being computed, and free the contexts."""
        self.closed = True
        self.cancel_all()
        with self.turns:
            self._end_all()
            for lane in self.lanes.values():
                lane.context.close()
            self.lanes.clear()

    def sweep(self) -> None:
        """Let out what has ended or was cancelled."""
        while self._came:
            self._waiting.append(self._came.popleft())
        for job in self._waiting:
            _end_if_cancelled(job)
        self._waiting = [job for job in self._waiting if not job.ended]
        for lane in self.lanes.values():
            for job in list(lane.jobs):
                _end_if_cancelled(job)
                if job.ended:
                    lane.release(job)
            if lane.put_back:
                self._waiting[:0] = lane.put_back
                lane.put_back = []

    def _admit(self) -> None:
        """In the order in which they came. Who does not fit holds up those behind: else it might wait for ever."""
        full: list[Lane] = []
        for job in list(self._waiting):
            if job.satisfied:
                continue
            try:
                lane = self.lane(exact=job.exact)
            except PajamasError as error:  # there is no memory for its context
                job.fail(error)
                continue
            if lane in full or lane.computes_beginning_of(job):
                continue
            if lane.admit(job):
                self._waiting.remove(job)
            else:
                full.append(lane)

    def _unblock(self) -> None:
        """All that have a place are paused, and somebody waits for one: the readers of those may never come back."""
        for job in self._waiting:
            if job.ended or job.satisfied:
                continue
            if not self.lane(exact=job.exact).take_paused_place():
                job.fail(EngineError("this request found no place", "llama.cpp's cache is full", "ask for less"))
            self.sweep()
            return

    def _end_all(self) -> None:
        for job in self._jobs():
            job.cancelled = True
        self.sweep()
        self.turns.wake()

    def _jobs(self) -> Iterator[Job]:
        yield from list(self._came)
        yield from list(self._waiting)
        for lane in list(self.lanes.values()):
            yield from list(lane.jobs)


def _end_if_cancelled(job: Job) -> None:
    if job.cancelled and not job.ended:
        job.end("cancelled")
