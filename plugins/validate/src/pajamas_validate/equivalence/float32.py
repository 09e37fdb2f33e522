"""A model that computes in float32 from 16-bit weights: what is left of a difference then, no rounding explains."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas.errors import UnsupportedFeature
from pajamas.keywords import load_options
from pajamas.operations.converting import convert
from pajamas.operations.loading import open_selection, select
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Artifact, Feature, Session

if TYPE_CHECKING:
    from pajamas.plugins import PluginHost


@contextlib.contextmanager
def open_float32(
    host: PluginHost,
    artifact: Artifact,
    backend: str,
    *,
    progress: Progress = NO_PROGRESS,
    loading: Mapping[str, Any],
) -> Generator[Session, None, None]:
    """The model in float32: told to the engine where it can be told, else by a GGUF file of that type.

    Such a file has twice the size of the 16-bit one; it is made in the user's cache folder, and removed afterwards. Its
    keys and values are kept in float32; attention is computed as the engine does it by itself.

    Args:
        loading: fields of `types.LoadOptions`.

    Raises:
        UnsupportedFeature: the backend has neither way.
        PajamasError: what loading and converting raise.
    """
    features = host.backend(backend).describe().features
    if Feature.COMPUTE_DTYPE in features:
        options = load_options({**loading, "compute_dtype": "float32"})
        with contextlib.closing(open_selection(select(artifact, backend, host=host), options)) as session:
            yield session
        return
    if artifact.format != "gguf":
        raise UnsupportedFeature(
            f"Backend {backend!r} cannot be told to compute in float32.",
            "It does not declare compute-dtype, and does not take GGUF files.",
            "Compare it with a model of another backend.",
        )
    import platformdirs

    cache = platformdirs.user_cache_path("pajamas", ensure_exists=True)
    with tempfile.TemporaryDirectory(prefix="float32-", dir=cache) as folder:
        made = convert(artifact.path, Path(folder), ["gguf"], "F32", progress=progress, host=host)
        kept = {**loading, "kv_type": "f32"} if Feature.KV_TYPE in features else dict(loading)
        selection = select(made.artifacts[0], backend, host=host)
        with contextlib.closing(open_selection(selection, load_options(kept))) as session:
            yield session
