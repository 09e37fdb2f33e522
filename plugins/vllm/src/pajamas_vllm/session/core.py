"""vLLM's engine: an `AsyncLLM` in an event loop, and the engine process that it starts."""

from __future__ import annotations

import itertools
from typing import Any

from pajamas.errors import EngineCrashed, EngineError, PajamasError, UsageError
from pajamas_vllm import engine
from pajamas_vllm.session.loop import EventLoop
from pajamas_vllm.session.parameters import Parameters

_STOP_SECONDS = 5.0


class Core:
    """Started with the session, and shut down with it.

    Raises:
        EngineError: the engine does not start; the message has the reason that its process told.
    """

    def __init__(self, parameters: Parameters) -> None:
        vllm = engine.engine()
        self.loop = EventLoop()
        self.closed = False
        self._numbers = itertools.count()
        try:
            with engine.environment({**engine.QUIET, **parameters.environment}):
                self.llm: Any = self.loop.submit(_start(vllm, parameters)).result()
        except BaseException as error:
            self.loop.stop()
            if isinstance(error, Exception) and not isinstance(error, PajamasError):
                raise _refusal(error) from error
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
            "It was killed, ran out of memory, or failed; with -v its log is shown.",
            "Load the model again.",
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


async def _start(vllm: engine.Engine, parameters: Parameters) -> Any:
    config = vllm.arguments.AsyncEngineArgs(**parameters.arguments).create_engine_config()
    if parameters.executor is not None:
        config.parallel_config.distributed_executor_backend = parameters.executor
    llm = vllm.llm.AsyncLLM.from_vllm_config(config, disable_log_stats=True)
    await llm.collective_rpc("pajamas_keep_order")
    return llm


def _refusal(error: Exception) -> EngineError:
    why = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    return EngineError("vLLM cannot start with this model.", why, "With -v its log is shown.")
