"""MLX and mlx-lm: imported when they are needed, and used by one thread.

A stream of MLX belongs to the thread that made it (on Metal a command encoder does), so whatever a session computes, it
lets this module's thread compute. The thread is the process's: engines of two sessions take turns.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from typing import Any, TypeVar

from attrs import frozen

from pajamas.errors import DeviceNotFound, EngineError, EngineMissing, NotEnoughMemory, PajamasError

T = TypeVar("T")

INSTALL = "pip install pajamas-mlx"
DISTRIBUTION = "mlx-lm"
_LOCK = threading.Lock()
_PATIENCE = 5.0
"""Seconds that the end of the process waits for what is being computed."""
_MODULES = ("mlx.core", "mlx_lm.utils", "mlx_lm.models.cache", "mlx.utils")
_VARIABLE = "TRANSFORMERS_NO_ADVISORY_WARNINGS"


@frozen
class Engine:
    """The modules that this backend uses."""

    mx: Any
    """mlx.core"""
    models: Any
    """mlx_lm.utils"""
    caches: Any
    """mlx_lm.models.cache"""
    trees: Any
    """mlx.utils"""


def version() -> str | None:
    """mlx-lm's; None where it or MLX is not installed."""
    try:
        if importlib.util.find_spec("mlx") is None or importlib.util.find_spec("mlx_lm") is None:
            return None
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None


def devices() -> tuple[str, ...]:
    """Device words of this machine, best first: MLX computes on the GPU of Apple's processors, else on the CPU."""
    return ("metal", "cpu") if sys.platform == "darwin" and platform.machine() == "arm64" else ("cpu",)


def check_device(device: str | None) -> str:
    """The device word, the best one for None.

    Raises:
        DeviceNotFound: MLX cannot compute there on this machine.
    """
    here = devices()
    if device is not None and device not in here:
        raise DeviceNotFound(
            f"There is no {device} device for MLX here.",
            "MLX uses Metal on Macs with Apple's processors, and the processor everywhere.",
            f"It can use: {', '.join(here)}.",
        )
    return device or here[0]


def engine() -> Engine:
    """The modules, imported at the first call.

    Raises:
        EngineMissing: one of them is not installed, or cannot be loaded.
    """
    with _LOCK:
        return _modules()


@cache
def _modules() -> Engine:
    import resource  # not on Windows, where there is no MLX

    # While it is imported, mlx-lm lowers the limit of open files for the whole process, for good, and sets a variable
    # that the process's children would see. A library has no business with either.
    before, setrlimit = os.environ.get(_VARIABLE), resource.setrlimit
    try:
        resource.setrlimit = lambda *_: None  # for as long as the import takes
        return Engine(*map(importlib.import_module, _MODULES))
    except ImportError as error:
        raise EngineMissing("MLX cannot be loaded.", str(error), INSTALL) from error
    finally:
        resource.setrlimit = setrlimit
        if before is None:
            os.environ.pop(_VARIABLE, None)


class _Thread:
    """Computes what it is given, one thing after the other. It dies with the process, whatever it is at.

    A thread that has used MLX must give its streams back before it ends, or MLX aborts the process at its exit.
    """

    def __init__(self, mx: Any) -> None:
        self._mx = mx
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mlx", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def result(self, work: Callable[[], T], *, whole: bool) -> T:
        future: Future[T] = Future()
        self._work.put((future, work))
        try:
            return future.result()
        except KeyboardInterrupt:
            while whole and not future.done():
                with contextlib.suppress(KeyboardInterrupt):
                    wait((future,))
            raise

    def _run(self) -> None:
        while item := self._work.get():
            future, work = item
            try:
                future.set_result(work())
            except BaseException as error:  # the caller's
                future.set_exception(error)
            del item, future, work  # not kept until there is more to do: a model hangs on them
        self._mx.clear_streams()

    def _stop(self) -> None:
        self._work.put(None)
        self._thread.join(_PATIENCE)


@cache
def _thread() -> _Thread:
    return _Thread(engine().mx)


def compute(device: str, work: Callable[[], T], *, whole: bool = False) -> T:
    """What `work` returns, computed on `device` by the engine's thread. Ctrl-C ends the wait, not the work.

    :param whole: Ctrl-C waits for the work: for what is short, and changes what others use.

    Raises:
        PajamasError: what `work` raises.
        NotEnoughMemory: the engine finds no memory.
        EngineError: the engine fails.
    """
    found = engine()

    def run() -> T:
        with found.mx.stream(found.mx.gpu if device == "metal" else found.mx.cpu):
            return work()

    try:
        return _thread().result(run, whole=whole)
    except PajamasError:
        raise
    except MemoryError as error:
        raise _no_memory(str(error)) from error
    except (RuntimeError, ValueError) as error:  # what MLX's C++ exceptions become
        if "allocate" in str(error):
            raise _no_memory(str(error)) from error
        raise EngineError("MLX fails.", f"{type(error).__name__}: {error}"[:500], "Is the model verified?") from error


def _no_memory(why: str) -> NotEnoughMemory:
    return NotEnoughMemory("The memory is too small for this.", why, "Use a smaller model, or a shorter context.")
