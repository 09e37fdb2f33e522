"""vLLM's engine: an `AsyncLLM` in an event loop, and the engine process that it starts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from pajamas.errors import EngineCrashed, EngineError, PajamasError, UsageError
from pajamas_vllm import engine
from pajamas_vllm.session.engine_log import EngineLog
from pajamas_vllm.session.gate import Gate
from pajamas_vllm.session.loop import EventLoop
from pajamas_vllm.session.startup import start

if TYPE_CHECKING:
    from pajamas_vllm.session.parameters import Parameters

T = TypeVar("T")

_STOP_SECONDS = 2.0
"""For what is cancelled, and then for the engine's process to end by itself."""


class Core:
    """Started with the session, and shut down with it.

    Raises:
        PajamasError: as `startup.start`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.loop = EventLoop()
        self.closed = False
        self.gate = Gate()
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = EngineLog()
        try:
            self.llm: Any = start(self.loop, parameters, self._log)
        except BaseException:
            self.loop.stop()
            raise

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run what asks the engine; `close` cancels it.

        Raises:
            EngineError: it is closed.
        """
        return self.loop.submit(self._tracked(work))

    def next_name(self) -> str:
        """A name for a request that no other has."""
        return str(next(self._numbers))

    def check(self) -> None:
        """Raises EngineCrashed if the engine's process has died, EngineError if it is closed."""
        if self.closed:
            raise EngineError("This session is closed.", "Its model is no longer in memory.", "Load it again.")
        if self.llm.errored:
            raise self.death()

    def death(self) -> EngineError:
        """The error for an engine that is gone."""
        return EngineCrashed(
            "vLLM's engine process has died.",
            self._log.reason() or "It was killed, or has run out of memory: it said nothing.",
            "Load the model again; with -v its log is shown.",
        )

    def translated(self, error: Exception) -> PajamasError:
        """What vLLM raises for a request, as an error of pajamas'."""
        vllm = engine.engine()
        if isinstance(error, PajamasError):
            return error
        if isinstance(error, vllm.dead.EngineDeadError):
            return self.death()
        cause = error.__cause__ if isinstance(error, vllm.dead.EngineGenerateError) else None
        cause = cause or error
        if isinstance(cause, vllm.exceptions.VLLMClientError):
            return UsageError("vLLM refuses the request.", str(cause)[:500], "Change what it names.")
        return EngineError("vLLM failed to answer.", f"{type(cause).__name__}: {cause}"[:500], "Is the model verified?")

    def close(self) -> None:
        """End the engine's process; requests that run are cancelled."""
        if self.closed:
            return
        self.closed = True
        self.loop.submit(self._shut_down()).result()
        self.loop.stop()
        del self.llm  # now: it shuts down when it is collected, which fails at the end of the process

    async def _tracked(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await work
        finally:
            self._tasks.discard(task)

    async def _shut_down(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        self.llm.shutdown(timeout=_STOP_SECONDS)
