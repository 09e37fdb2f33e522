"""vLLM's engine: an `AsyncLLM` in an event loop, and the engine process that it starts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from pajamas.errors import EngineCrashed, EngineError, PajamasError, UsageError
from pajamas_vllm import engine
from pajamas_vllm.session.engine_log import EngineLog
from pajamas_vllm.session.loop import EventLoop
from pajamas_vllm.session.startup import start

if TYPE_CHECKING:
    from pajamas_vllm.session.parameters import Parameters

_STOP_SECONDS = 5.0


class Core:
    """Started with the session, and shut down with it.

    Raises:
        PajamasError: as `startup.start`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.loop = EventLoop()
        self.closed = False
        self._numbers = itertools.count()
        self._log = EngineLog()
        try:
            self.llm: Any = start(self.loop, parameters, self._log)
        except BaseException:
            self.loop.stop()
            raise

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

    async def _shut_down(self) -> None:
        self.llm.shutdown(timeout=_STOP_SECONDS)
