"""One answer from one model, loaded for it and closed after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import fields_dict

from pajamas.operations.generation import GenerateResult
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime
from pajamas.types import LoadOptions


def generate(
    model: str | Path | None = None,
    prompt: str | None = None,
    backend: str | None = None,
    *,
    isolated: bool = False,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **options: Any,
) -> GenerateResult:
    """Load a model, answer one request, and close it.

    Args:
        model: as `Runtime`'s path.
        prompt: as `Runtime.stream`.
        options: fields of `types.LoadOptions`, `types.GenerateRequest` and `types.Sampling`.

    Raises:
        UsageError: there is no such option.
        PajamasError: what loading and generating raise.
    """
    loading = {name: options.pop(name) for name in fields_dict(LoadOptions) if name in options}
    with Runtime(model, backend, isolated=isolated, progress=progress, host=host, **loading) as runtime:
        return runtime.generate(prompt, **options)
