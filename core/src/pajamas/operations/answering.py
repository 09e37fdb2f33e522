"""One answer, or the vectors of some texts, from one model that is loaded for it and closed after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from attrs import fields_dict

from pajamas.keywords import AnswerKeywords, LoadKeywords, generate_request
from pajamas.operations.generation import GenerateResult, check_request, needed_features
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime
from pajamas.types import LoadOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def generate(
    model: str | Path | None = None,
    prompt: str | None = None,
    backend: str | None = None,
    *,
    isolated: bool = False,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **options: Unpack[AnswerKeywords],
) -> GenerateResult:
    """Load a model, answer one request, and close it.

    Args:
        model: as `Runtime`'s path.
        prompt: as `Runtime.stream`.
        options: fields of `types.LoadOptions`, `types.GenerateRequest` and `types.Sampling`.

    Raises:
        UsageError: an option is unknown or makes no sense; said before anything is loaded.
        PajamasError: what loading and generating raise.
    """
    asked: dict[str, Any] = dict(options)
    loading = {name: asked.pop(name) for name in fields_dict(LoadOptions) if name in asked}
    request = generate_request({**asked, "prompt": prompt})
    check_request(request)
    needs = needed_features(request)
    with Runtime(model, backend, isolated=isolated, needs=needs, progress=progress, host=host, **loading) as runtime:
        return runtime.generate(prompt, **asked)


def embed(
    texts: Sequence[str],
    model: str | Path | None = None,
    backend: str | None = None,
    *,
    isolated: bool = False,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
    **options: Unpack[LoadKeywords],
) -> NDArray[np.float32]:
    """Load a model for embeddings, embed `texts`, and close it: one unit vector a text, float32 [len(texts), size].

    Raises:
        UsageError: there is no such option.
        PajamasError: what loading and `Runtime.embed` raise.
    """
    loading: LoadKeywords = {**options, "embeddings": True}
    with Runtime(model, backend, isolated=isolated, progress=progress, host=host, **loading) as runtime:
        return runtime.embed(texts)
