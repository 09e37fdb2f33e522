"""llama.cpp itself: imported once, with the environment it needs, and its log kept instead of printed.

Everything here that touches the engine goes through `library()`: the low-level functions of llama-cpp-python.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from pajamas.errors import EngineMissing
from pajamas_gguf.bindings import load_bindings

DISTRIBUTION = "llama-cpp-python"

_ERROR = 4
_CONTINUED = 5
_KEPT_LINES = 400
_lock = threading.Lock()
_loaded: Any = None
_failure: EngineMissing | None = None


class _Log:
    """The engine's last lines. It can log from any of its threads, so recorders only ever append."""

    def __init__(self) -> None:
        self.lines: deque[tuple[int, str]] = deque(maxlen=_KEPT_LINES)
        self.recorders: list[list[str]] = []
        self._level = 0
        self._partial = ""

    def write(self, level: int, text: bytes, _user: object) -> None:
        self._level = level = self._level if level == _CONTINUED else level
        *lines, self._partial = (self._partial + text.decode("utf-8", "replace")).split("\n")
        for line in lines:
            if line.strip(" ."):
                self.lines.append((level, line))
                for recorder in self.recorders:
                    recorder.append(line)


_log = _Log()
_callback: Any = None


def library() -> Any:
    """llama-cpp-python's low-level module: one attribute for every function and struct of llama.h.

    Raises:
        EngineMissing: it is not installed, its library cannot be loaded, or its structs are not those of its library.
    """
    global _loaded, _failure
    with _lock:
        if _failure is not None:
            raise _failure
        if _loaded is None:
            try:
                _loaded = _load()
            except EngineMissing as error:
                _failure = error
                raise
    return _loaded


def version() -> str | None:
    """llama-cpp-python's version, from its metadata alone; None if it is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None


def symbol(name: str, arguments: list[Any], result: Any) -> Any:
    """A C function of ggml, which llama-cpp-python does not wrap but its libraries export.

    Raises:
        EngineMissing: no library of this build has it.
    """
    module = library()
    extensions = importlib.import_module("llama_cpp._ctypes_extensions")
    for library_name in (None, "ggml", "ggml-base"):
        try:
            found = (
                module._lib if library_name is None else extensions.load_shared_library(library_name, module._base_path)
            )
            function = getattr(found, name)
        except (AttributeError, OSError, RuntimeError):
            continue
        function.argtypes, function.restype = arguments, result
        return function
    raise EngineMissing(
        f"llama.cpp's library has no function {name}.", f"{DISTRIBUTION} {version()} is not one that pajamas knows.",
        "pip install --upgrade pajamas-gguf",
    )  # fmt: skip


@contextlib.contextmanager
def recorded() -> Iterator[list[str]]:
    """The lines that the engine logs inside the block."""
    lines: list[str] = []
    _log.recorders.append(lines)
    try:
        yield lines
    finally:
        # By identity: two recorders may hold equal lines.
        _log.recorders[:] = [kept for kept in _log.recorders if kept is not lines]


def forget_errors() -> None:
    _log.lines.clear()


def last_error(otherwise: str = "The engine gave no reason.") -> str:
    """What the engine logged last as an error, in one line."""
    errors = [line for level, line in list(_log.lines) if level == _ERROR]
    return "; ".join(errors[-2:]) if errors else otherwise


def _load() -> Any:
    global _callback
    # A waiting OpenMP thread that spins takes the core from the one that works, as soon as anything else runs on the
    # machine (nine times slower on a busy one). libgomp reads this once, when it is loaded.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ["GOMP_SPINCOUNT"] = "0"
    try:
        module: Any = load_bindings("llama_cpp", _keep_log)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("llama_cpp"):
            raise
        raise EngineMissing(
            "llama.cpp is not installed.", f"There is no package {DISTRIBUTION}.", "pip install pajamas-gguf"
        ) from error
    except (OSError, RuntimeError, AttributeError, FileNotFoundError) as error:
        # AttributeError: a library (LLAMA_CPP_LIB_PATH) that lacks a function which the bindings declare.
        raise EngineMissing(
            "llama.cpp's library cannot be loaded.",
            str(error),
            f"pip install --force-reinstall --no-binary {DISTRIBUTION} pajamas-gguf",
        ) from error
    _callback = module.llama_log_callback(_log.write)
    _keep_log()
    _check_structs(module)
    module.llama_backend_init()
    return module


def _keep_log() -> None:
    """Have the engine log to us."""
    sys.modules["llama_cpp.llama_cpp"].llama_log_set(_callback, None)


def _check_structs(module: Any) -> None:
    """The C structs change from week to week. If one shifted, its defaults read as nonsense: better to stop here."""
    model = module.llama_model_default_params()
    context = module.llama_context_default_params()
    sampler = module.llama_sampler_chain_default_params()
    quantize = module.llama_model_quantize_default_params()
    expected = (
        (model, {"vocab_only": False, "use_extra_bufts": True, "no_alloc": False, "main_gpu": 0}),
        (context, {
            "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "rope_scaling_type": -1,
            "flash_attn_type": -1, "rope_freq_base": 0.0, "yarn_ext_factor": -1.0, "type_k": 1, "type_v": 1,
            "embeddings": False, "offload_kqv": True, "n_samplers": 0,
        }),
        (sampler, {"no_perf": True}),
        (quantize, {"nthread": 0, "allow_requantize": False, "quantize_output_tensor": True, "dry_run": False}),
    )  # fmt: skip
    for struct, fields in expected:
        for name, value in fields.items():
            found = getattr(struct, name, None)
            if found != value:
                raise EngineMissing(
                    "llama.cpp's library and its Python bindings do not belong together.",
                    f"{type(struct).__name__}.{name} is {found!r}, not {value!r} ({DISTRIBUTION} {version()}).",
                    "Run `pip install --force-reinstall pajamas-gguf`, and unset LLAMA_CPP_LIB_PATH if you set it.",
                )


def pointer(value: object) -> int:
    """A ctypes pointer's address, 0 for NULL: functions return `None`, an int or a pointer object."""
    if value is None:
        return 0
    return value if isinstance(value, int) else ctypes.cast(value, ctypes.c_void_p).value or 0  # type: ignore[arg-type]  # a pointer
