"""An answer, as its reader sees it. For backends that compute the requests of several threads together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from pajamas.answers import Chunk


class Job(Protocol):
    """One request on its way to an answer."""

    ended: bool
    cancelled: bool
    """Nobody wants it any more: it ends before the next step."""


JobT = TypeVar("JobT", bound=Job)
_JobT = TypeVar("_JobT", bound=Job, contravariant=True)


class Scheduler(Protocol[_JobT]):
    """What computes jobs, whichever thread asks."""

    def add(self, job: _JobT) -> None:
        """Let a job wait for its place."""

    def next(self, job: _JobT) -> Chunk | None:
        """The job's next chunk, None after its last one."""

    def cancel(self, job: _JobT) -> None:
        """End a job, from any thread."""


class AnswerStream(Iterator[Chunk], Generic[JobT]):
    """Takes nothing before its first item is asked for; leaves when it ends, is closed or is forgotten.

    :param begin: makes the job. Raises what refuses the request at the last moment.
    """

    def __init__(self, scheduler: Scheduler[JobT], begin: Callable[[], JobT]) -> None:
        self._scheduler = scheduler
        self._begin: Callable[[], JobT] | None = begin
        self._job: JobT | None = None

    def __next__(self) -> Chunk:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            begun = begin()
            self._scheduler.add(begun)
            self._job = begun
        job = self._job
        if job is None:
            raise StopIteration
        try:
            chunk = self._scheduler.next(job)
        except BaseException:  # Ctrl-C too
            self.close()
            raise
        if chunk is None:
            self._job = None
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Free its place at once. A thread that waits in it gets a last chunk, "cancelled"."""
        job, self._job, self._begin = self._job, None, None
        if job is not None and not job.ended:
            self._scheduler.cancel(job)

    def __del__(self) -> None:
        # Whoever computes next lets it out: here, in the middle of anything, no lock can be taken.
        if (job := getattr(self, "_job", None)) is not None:
            job.cancelled = True
