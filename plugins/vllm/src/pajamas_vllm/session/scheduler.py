"""Requests of many threads, given to one asynchronous engine, which batches them as it likes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pajamas.types import Chunk
from pajamas_vllm import engine

if TYPE_CHECKING:
    from pajamas_vllm.session.core import Core
    from pajamas_vllm.session.job import Job


class Scheduler:
    """A `pajamas.answer_stream.Scheduler`: jobs come in with `add`, and are read with `next`.

    Exact jobs are computed alone: what the engine batches together is rounded together.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def add(self, job: Job) -> None:
        """Give it to the engine.

        Raises:
            EngineError: the engine has died.
        """
        self._core.check()
        running = self._core.submit(self._run(job))
        # Cancelled it may be before it begins, and its reader must not wait: hence here, and not in `_run`.
        running.add_done_callback(lambda _: job.put(None))
        job.end = running.cancel

    def next(self, job: Job) -> Chunk | None:
        """The job's next chunk, None after its last one.

        Raises:
            EngineError: the engine failed.
        """
        if job.ended:
            return None
        when, said = job.inbox.get()
        if isinstance(said, BaseException):
            job.ended = True
            raise said
        try:
            chunk = job.read(when, said)
        except BaseException:
            job.ended = True
            raise
        if chunk.finish_reason is not None:
            job.ended = True
            job.cancelled = True  # the engine goes on where a stop string has ended the answer
        return chunk

    def cancel(self, job: Job) -> None:
        """End it, from any thread, and free its place in the engine."""
        job.cancelled = True

    async def _run(self, job: Job) -> None:
        try:
            async with self._core.gate.enter(alone=job.exact):
                await self._answer(job)
        except Exception as error:  # whatever it is, the job's reader must get it
            job.put(self._core.translated(error))

    async def _answer(self, job: Job) -> None:
        job.entered = time.perf_counter()
        prompt = engine.engine().inputs.tokens_input(job.prompt)
        async for output in self._core.llm.generate(prompt, job.params, self._core.next_name()):
            job.put(output)
