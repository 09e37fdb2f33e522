"""What a model is, and what each profile would make of it, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from pajamas import hub
from pajamas.dispatch import choose
from pajamas.errors import PajamasError
from pajamas.model_cards import card_context
from pajamas.modelfiles import ModelFiles
from pajamas.operations.converting import file_suffix
from pajamas.operations.detecting import detect, weight_sizes
from pajamas.operations.resolving import model_name, resolve_whole
from pajamas.plugins import PluginHost
from pajamas.profiles import PROFILES, Target, resolve_targets
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.source import Source
from pajamas.types import Architecture, Artifact, BackendInfo, QuantizeJob

CONTEXTS = (4096, 8192, 32768)
"""Context lengths, in tokens, whose memory is predicted."""


@frozen(kw_only=True)
class ProfileEstimate:
    """What a profile would take in one format, or why that cannot be said."""

    profile: str
    format: str
    scheme: str
    artifact: Artifact | None = None
    """From a dry run: size in bytes, bits per weight, memory by context length."""
    reason: str | None = None


@frozen(kw_only=True)
class ModelInfo:
    """A model as its headers describe it."""

    source: Source
    architecture: Architecture
    size_on_disk: int
    """Bytes of its weight files, on this machine or where they come from."""
    cached: Path | None
    """Where its weights lie on this machine; None if they do not."""
    profiles: tuple[ProfileEstimate, ...] = ()
    context_citation: str | None = None
    """The model card that native and extended context are from, where they are from one."""


def info(
    model: str | Path | None = None,
    contexts: Sequence[int] = CONTEXTS,
    *,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
) -> ModelInfo:
    """Describe a model. Of weights only headers are read, also over the network.

    Args:
        model: a Hub id, a local folder, an alias, or an artifact; None is the default model.
        contexts: context lengths whose memory is predicted.

    Raises:
        ModelNotFound: no such model; `GatedModel`, `NotCached`.
        UnsupportedModel: neither core nor a backend can read it.
        ModelFileError: its config or a header is damaged.
        DownloadError: the Hub cannot be reached.
    """
    host = host or PluginHost()
    source = resolve_whole(host, model)
    name = model_name(host, model, source)
    source, files = hub.open_files(source)
    architecture = detect(host, files)
    # An artifact in a format of a backend's own is an end, not a source.
    is_source = any(name == "config.json" or name.endswith(".gguf") for name in files.sizes())
    makers = _makers(host) if is_source else {}

    def dry_run(target: Target) -> Artifact:
        job = QuantizeJob(
            files=files,
            source=source,
            architecture=architecture,
            format=target.format,
            scheme=target.scheme,
            output=Path(
                f"{name.lower()}-{target.scheme.lower()}{file_suffix(target.format, makers[target.format]) or ''}"
            ),
            name=name,
            dry_run=True,
            contexts=tuple(contexts),
            aggressive=target.aggressive,
            progress=progress,
        )
        # A size is arithmetic: the engine need not run here.
        return choose(host, target.format, runnable=False).backend.quantize(job)

    return model_info(
        source,
        files,
        architecture,
        cached=source.path if source.kind == "file" else _cached(files),
        backends=makers,
        dry_run=dry_run,
    )


def model_info(
    source: Source,
    files: ModelFiles,
    architecture: Architecture,
    *,
    cached: Path | None,
    backends: Mapping[str, BackendInfo],
    dry_run: Callable[[Target], Artifact],
) -> ModelInfo:
    """The record of a model; `dry_run` is asked once for each profile and format.

    Args:
        backends: each format that is made here, with the backend that makes it.

    Whatever of the tree of errors it raises becomes that profile's reason.
    """
    card = None
    if architecture.context_source == "model card":
        card = card_context(architecture.model_type, architecture.context_length, architecture.num_layers)
    return ModelInfo(
        source=source,
        architecture=architecture,
        size_on_disk=sum(weight_sizes(files).values()),
        cached=cached,
        profiles=tuple(
            _estimate(profile, format, info, dry_run)
            for profile in PROFILES
            for format, info in backends.items()
            if format in PROFILES[profile].schemes or profile in info.profile_schemes.get(format, {})
        ),
        context_citation=card.citation if card else None,
    )


def _estimate(profile: str, format: str, info: BackendInfo, dry_run: Callable[[Target], Artifact]) -> ProfileEstimate:
    (target,) = resolve_targets([format], profile=profile, backends={format: info})
    artifact = reason = None
    try:
        artifact = dry_run(target)
    except PajamasError as error:
        reason = "; ".join(line.rstrip(".") for line in (error.what, error.why) if line)
    return ProfileEstimate(profile=profile, format=format, scheme=target.scheme, artifact=artifact, reason=reason)


def _cached(files: ModelFiles) -> Path | None:
    """The folder or file that all weights are in; small files do not count, `info` itself brings some of them."""
    weights = weight_sizes(files)
    whole = weights and all(files.local_path(name) is not None for name in weights)
    return hub.cache_state(files).path if whole else None


def _makers(host: PluginHost) -> dict[str, BackendInfo]:
    """The formats that installed backends make, those that core knows first, each with the first that makes it."""
    found: dict[str, BackendInfo] = {}
    for backend in host.working_backends():
        try:
            info = backend.describe()
        except PajamasError:  # `pajamas plugins` says what is wrong with it; a model's facts do not depend on it
            continue
        for format in info.formats if info.schemes else ():
            found.setdefault(format, info)
    known = PROFILES["balanced"].schemes
    return dict(sorted(found.items(), key=lambda item: item[0] not in known))
