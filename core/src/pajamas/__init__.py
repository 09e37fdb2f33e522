"""From a Hugging Face repository to a quantized model that is proven good and runs at its engine's native speed.

`run()` does what each command does; `Runtime` is one loaded model. Every name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pajamas.core import run
    from pajamas.errors import (
        ChecksumMismatch,
        ContextOverflow,
        DeviceNotFound,
        DownloadError,
        EngineCrashed,
        EngineError,
        EngineMissing,
        GatedModel,
        ModelFileError,
        ModelNotFound,
        NotCached,
        NotEnoughDisk,
        NotEnoughMemory,
        PajamasError,
        PluginConflict,
        PluginError,
        PluginLoadError,
        TargetExists,
        TemplateError,
        Unresolved,
        Unsupported,
        UnsupportedFeature,
        UnsupportedModel,
        UsageError,
        ValidationFailed,
    )
    from pajamas.operations.generation import GenerateResult
    from pajamas.runtime import Runtime
    from pajamas.source import Source
    from pajamas.types import (
        Architecture,
        Artifact,
        BackendInfo,
        Chunk,
        Feature,
        Finding,
        GenerateRequest,
        LoadOptions,
        MemoryUse,
        QuantizeJob,
        Sampling,
        Session,
        TensorInfo,
        TokenLogprob,
        ToolCall,
        Usage,
        ValidateJob,
    )

    __version__: str

__all__ = [
    "Architecture",
    "Artifact",
    "BackendInfo",
    "ChecksumMismatch",
    "Chunk",
    "ContextOverflow",
    "DeviceNotFound",
    "DownloadError",
    "EngineCrashed",
    "EngineError",
    "EngineMissing",
    "Feature",
    "Finding",
    "GatedModel",
    "GenerateRequest",
    "GenerateResult",
    "LoadOptions",
    "MemoryUse",
    "ModelFileError",
    "ModelNotFound",
    "NotCached",
    "NotEnoughDisk",
    "NotEnoughMemory",
    "PajamasError",
    "PluginConflict",
    "PluginError",
    "PluginLoadError",
    "QuantizeJob",
    "Runtime",
    "Sampling",
    "Session",
    "Source",
    "TargetExists",
    "TemplateError",
    "TensorInfo",
    "TokenLogprob",
    "ToolCall",
    "Unresolved",
    "Unsupported",
    "UnsupportedFeature",
    "UnsupportedModel",
    "Usage",
    "UsageError",
    "ValidateJob",
    "ValidationFailed",
    "__version__",
    "run",
]

_HOMES = {
    "run": "pajamas.core",
    "Runtime": "pajamas.runtime",
    "GenerateResult": "pajamas.operations.generation",
    "Source": "pajamas.source",
}


def __getattr__(name: str) -> Any:
    # `from pajamas import module` asks here first, and must hear an AttributeError.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("pajamas")
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    errors = import_module("pajamas.errors")
    return getattr(errors, name) if hasattr(errors, name) else getattr(import_module("pajamas.types"), name)


def __dir__() -> list[str]:
    return __all__
