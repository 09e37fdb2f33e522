"""The models that are compared, loaded: as they are, and in float32 what each stands for."""

from __future__ import annotations

import contextlib
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.runtime import Runtime
from pajamas.types import Artifact, Feature
from pajamas_validate.equivalence.candidate import Candidate, read_candidate
from pajamas_validate.equivalence.float32 import open_float32

if TYPE_CHECKING:
    from pajamas.plugins import PluginHost
    from pajamas.session import Session


@frozen(kw_only=True)
class Models:
    """As they are, each by its label."""

    candidates: tuple[Candidate, ...]
    artifacts: Mapping[str, Artifact]
    sessions: Mapping[str, Session]


@frozen(kw_only=True)
class Exact:
    """In float32. Two quantized models of one original stand for one and the same."""

    sessions: Mapping[str, Session]
    """By a key."""
    keys: Mapping[str, str]
    """Label to the key of what the model stands for; without those for which there is nothing."""
    names: Mapping[str, str]
    """Key to what a person calls it."""
    backends: Mapping[str, Candidate]
    """Key to the first candidate that stands for it."""
    missing: tuple[str, ...]
    """Why there is nothing for the others, in sentences."""

    @property
    def originals(self) -> Mapping[str, Session]:
        """Those that are no model of their own, by what a person calls them."""
        return {self.names[key]: self.sessions[key] for key in self.sessions if self.backends[key].quantized}


def open_models(
    host: PluginHost,
    stack: contextlib.ExitStack,
    names: Sequence[str | Path],
    backend: str | None,
    loading: Mapping[str, Any],
    progress: Progress = NO_PROGRESS,
) -> Models:
    """Load each as it is, until `stack` is closed.

    Raises:
        UsageError: fewer than two, or more than there are letters.
        PajamasError: what loading raises.
    """
    if isinstance(names, str | Path) or not 2 <= len(names) <= len(string.ascii_uppercase):
        raise UsageError("Equivalence is of two models or more.", "", "Name two artifacts of one model.")
    candidates, artifacts, sessions = [], {}, {}
    for label, name in zip(string.ascii_uppercase, names, strict=False):
        runtime = stack.enter_context(_opened(host, name, backend, loading, progress))
        info = host.backend(runtime.session.backend).describe()
        artifacts[label], sessions[label] = runtime.artifact, runtime.session
        candidates.append(
            read_candidate(label, str(name), runtime.artifact, runtime.session, info.engine, info.engine_version)
        )
    return Models(candidates=tuple(candidates), artifacts=artifacts, sessions=sessions)


def _opened(
    host: PluginHost, name: str | Path, backend: str | None, loading: Mapping[str, Any], progress: Progress
) -> Runtime:
    """A model in Hugging Face layout is loaded as it is, by whichever backend takes it: also by one that is slow here,
    for here it is right that counts."""
    needs = (Feature.SCORE,)
    try:
        return Runtime(name, backend, needs=needs, progress=progress, host=host, **loading)
    except UnsupportedModel:
        takers = [taker.name for taker in host.working_backends() if "safetensors" in taker.describe().formats]
        if backend is not None or not takers:
            raise
    return Runtime(name, takers[0], needs=needs, progress=progress, host=host, **loading)


def open_exact(
    host: PluginHost,
    stack: contextlib.ExitStack,
    models: Models,
    origins: Mapping[str, Artifact],
    loading: Mapping[str, Any],
    progress: Progress = NO_PROGRESS,
) -> Exact:
    """Load in float32 each model that nothing has quantized, and the originals of the others.

    Raises:
        PajamasError: what loading and converting raise.
    """
    sessions: dict[str, Session] = {}
    keys: dict[str, str] = {}
    names: dict[str, str] = {}
    firsts: dict[str, Candidate] = {}
    missing = []
    for candidate in models.candidates:
        label = candidate.label
        artifact = origins.get(label) if candidate.quantized else models.artifacts[label]
        if artifact is None:
            missing.append(
                f"What {label} was made from is not known, so its conversion cannot be told from its quantization: "
                "name it by --original."
            )
            continue
        key = f"{candidate.backend}:{artifact.path.resolve()}"
        if key not in sessions:
            try:
                sessions[key] = stack.enter_context(
                    open_float32(host, artifact, candidate.backend, progress=progress, loading=loading)
                )
            except UnsupportedFeature as error:
                missing.append(f"{label}: {error.what} {error.why}")
                continue
            names[key] = f"{label}'s original" if candidate.quantized else label
            firsts[key] = candidate
        keys[label] = key
    return Exact(sessions=sessions, keys=keys, names=names, backends=firsts, missing=tuple(missing))
