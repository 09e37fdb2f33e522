"""What a model was made from, as something that the same backend loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.operations.loading import select
from pajamas.operations.originals import find_original
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Artifact
from pajamas_validate.equivalence.candidate import Candidate, is_quantized, tensors_of

if TYPE_CHECKING:
    from pajamas.plugins import PluginHost


def origins(
    host: PluginHost,
    candidates: Sequence[Candidate],
    original: str | Path | None,
    *,
    quantized: bool = True,
    progress: Progress = NO_PROGRESS,
) -> Mapping[str, Artifact]:
    """By label, for each candidate whose original is known.

    It is the one that is named, or that its receipt names, or the only unquantized candidate of the same format, or
    what another candidate's receipt names: they are said to be one model.

    Args:
        quantized: of the quantized candidates; False is of the others, which are no originals of each other.

    Raises:
        PajamasError: what finding, downloading and converting an original raise.
    """
    found = {}
    for candidate in candidates:
        if candidate.quantized != quantized:
            continue
        others = [other for other in candidates if other.source and other is not candidate]
        origin = _found(host, candidate, candidate, original, progress)
        if origin is None and quantized:
            origin = _among(candidate, candidates)
        if origin is None and others:
            origin = _found(host, candidate, others[0], None, progress)
        if origin is not None and not is_quantized(tensors_of(origin.path)):
            found[candidate.label] = origin
    return found


def _found(
    host: PluginHost, candidate: Candidate, told: Candidate, original: str | Path | None, progress: Progress
) -> Artifact | None:
    """What the receipt of `told` names, as the backend of `candidate` loads it."""
    artifact = Artifact(path=told.path, format=candidate.format)
    named = find_original(host, original, artifact, backend=candidate.backend, progress=progress)
    if named is None or isinstance(named, Artifact):
        return named
    return select(named, candidate.backend, progress=progress, host=host).artifact


def _among(candidate: Candidate, candidates: Sequence[Candidate]) -> Artifact | None:
    others = [
        other
        for other in candidates
        if not other.quantized and (other.path.suffix == ".gguf") == (candidate.path.suffix == ".gguf")
    ]
    return Artifact(path=others[0].path, format=others[0].format) if len(others) == 1 else None
