"""One answer, or the vectors of some texts, from one model that is loaded for it and closed after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from attrs import asdict

from pajamas.errors import UsageError
from pajamas.keywords import AnswerKeywords, LoadKeywords, answer_options, check_texts
from pajamas.operations.generation import GenerateResult, check_request, join, needed_features, stream
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime

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
    load, request = answer_options({**options, "prompt": prompt})
    check_request(request)
    host = host or PluginHost()
    needs = needed_features(request)
    loading = asdict(load, recurse=False)
    with Runtime(model, backend, isolated=isolated, needs=needs, progress=progress, host=host, **loading) as runtime:
        return join(stream(runtime.session, request, host=host))


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
        UsageError: there is no such option, or `texts` is one text.
        PajamasError: what loading and `Runtime.embed` raise.
    """
    check_texts(texts)
    if not options.get("embeddings", True):
        raise UsageError("To embed, a model cannot be loaded with embeddings=False.", "", "Leave the option out.")
    loading: LoadKeywords = {**options, "embeddings": True}
    with Runtime(model, backend, isolated=isolated, progress=progress, host=host, **loading) as runtime:
        return runtime.embed(texts)
