"""vLLM's engine, started; and why it does not start, as errors of pajamas'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pajamas.errors import EngineError, NotEnoughMemory, PajamasError, UnsupportedModel
from pajamas_vllm import engine

if TYPE_CHECKING:
    from pajamas_vllm.session.engine_log import EngineLog
    from pajamas_vllm.session.loop import EventLoop
    from pajamas_vllm.session.parameters import Parameters

_PATIENCE = 2.0
"""Seconds for the last words of a process that has ended."""
_MEMORY = (
    "available memory on node",
    "no available memory for the cache blocks",
    "kv cache is needed",
    "out of memory",
)
_UNKNOWN = ("are not supported for now", "model type", "is not supported")


def start(loop: EventLoop, parameters: Parameters, engine_log: EngineLog) -> Any:
    """An `AsyncLLM` in this loop.

    Raises:
        UnsupportedModel: vLLM does not know this kind of model, or how it is quantized.
        NotEnoughMemory: weights or key/value cache do not fit.
        EngineError: it does not start; the message has the reason that its process told.
    """
    vllm = engine.engine()
    try:
        with engine.environment({**engine.QUIET, **parameters.environment}), engine_log.taking():
            return loop.submit(_start(vllm, parameters)).result()
    except PajamasError:
        raise
    except Exception as error:  # vLLM raises anything for a model that it does not expect
        engine_log.close()
        engine_log.wait(_PATIENCE)
        raise refusal(error, engine_log.reason()) from error
    finally:
        engine_log.close()


async def _start(vllm: engine.Engine, parameters: Parameters) -> Any:
    config = vllm.arguments.AsyncEngineArgs(**parameters.arguments).create_engine_config()
    if parameters.executor is not None:
        config.parallel_config.distributed_executor_backend = parameters.executor
    llm = vllm.llm.AsyncLLM.from_vllm_config(config, disable_log_stats=True)
    try:
        await llm.collective_rpc("pajamas_die_with_parent")
        await llm.collective_rpc("pajamas_keep_order")
    except BaseException:
        llm.shutdown(timeout=_PATIENCE)
        raise
    return llm


def refusal(error: Exception, reason: str) -> PajamasError:
    """The error for an engine that does not start; `reason` is what its process printed last, or empty."""
    why = reason or _plain(error)
    folded = why.lower()
    if any(words in folded for words in _MEMORY):
        return NotEnoughMemory(
            "vLLM finds too little memory for this model.", why, "Ask for a shorter context, or use a smaller model."
        )
    if any(words in folded for words in _UNKNOWN):
        return UnsupportedModel("vLLM does not load this model.", why, "Convert it for another backend.")
    return EngineError("vLLM does not start with this model.", why, "With -v its log is shown.")


def _plain(error: Exception) -> str:
    """Without the frame that pydantic puts around what vLLM's own checks say, and without vLLM's list of all models."""
    said = " ".join(str(error).split())
    inner = said.partition("Value error, ")[2].partition(" [type=")[0]
    return (
        f"{type(error).__name__}: {said}"[:500] if not inner else inner.partition(" Supported architectures:")[0][:500]
    )
