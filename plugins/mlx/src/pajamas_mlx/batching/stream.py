"""An answer, as its reader sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pajamas.types import Chunk
from pajamas_mlx.batching.job import Job
from pajamas_mlx.batching.scheduler import Scheduler


class AnswerStream(Iterator[Chunk]):
    """Takes nothing before its first item is asked for; leaves when it ends, is closed or is forgotten.

    :param begin: makes the job. Raises what refuses the request at the last moment.
    """

    def __init__(self, scheduler: Scheduler, begin: Callable[[], Job]) -> None:
        self._scheduler = scheduler
        self._begin: Callable[[], Job] | None = begin
        self._job: Job | None = None

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
