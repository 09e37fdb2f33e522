"""Jobs in llama.cpp's contexts: one for those that are computed together, one for those that are to be exact."""

from __future__ import annotations

from collections.abc import Callable

from pajamas.batching.scheduler import BatchScheduler
from pajamas_gguf.batching.job import Job
from pajamas_gguf.batching.lane import Lane
from pajamas_gguf.session.interrupt import Interrupt
from pajamas_gguf.session.sequence import Sequence


class Scheduler(BatchScheduler[Job, Lane]):
    """Makes a lane when it is wanted first, and stops the engine in the midst of a step that nobody wants any more.

    :param make_lane: a new lane: for jobs that are computed together, or (with True) for exact ones, one at a time.
    :param single: jobs of both kinds use the first lane, which has one sequence.
    """

    def __init__(self, make_lane: Callable[[bool], Lane], *, single: bool, most_waiting: int) -> None:
        super().__init__(most_waiting=most_waiting)
        self._make_lane = make_lane
        self._single = single

    def lane_of(self, job: Job) -> Lane:
        return self.lane(exact=job.exact)

    def lane(self, *, exact: bool) -> Lane:
        """The lane for jobs of that kind, made if there is none yet.

        Raises:
            EngineError: there is too little memory for its context.
        """
        exact = exact and not self._single
        for lane in self.lanes:
            if lane.exact == exact:
                return lane
        self.drop_unused()
        self.lanes.append(self._make_lane(exact))
        return self.lanes[-1]

    @property
    def last(self) -> Sequence | None:
        """The sequence that a job was given or has left last."""
        last = [lane.last for lane in self.lanes if lane.last is not None]
        return max(last, key=lambda sequence: sequence.used, default=None)

    def drop_unused(self) -> None:
        """Free the contexts in which nothing has been computed."""
        for lane in list(self.lanes):
            if not lane.used:
                self.lanes.remove(lane)
                lane.close()

    def step(self) -> None:
        # Ctrl-C waits until all is in order again; a long computation it breaks off.
        with Interrupt():
            for lane in self.lanes:
                lane.context.cancelled = False
            super().step()

    def cancel(self, job: Job) -> None:
        """End a job, from any thread; what the engine computes for it alone is broken off."""
        job.cancelled = True
        for lane in list(self.lanes):
            if lane.computing and all(one.cancelled for one in lane.computing):
                lane.context.cancelled = True
        super().cancel(job)
