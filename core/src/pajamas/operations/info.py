"""What a model is, and what each profile would make of it, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from pajamas import hub, manifest
from pajamas.dispatch import choose
from pajamas.errors import PajamasError, UsageError
from pajamas.manifest import Receipt
from pajamas.model_cards import card_context
from pajamas.modelfiles import LocalFiles, ModelFiles
from pajamas.operations.converted import is_scheme, no_such_artifact, receipts_of
from pajamas.operations.converting_paths import file_suffix
from pajamas.operations.detecting import detect, weight_sizes
from pajamas.operations.inventory import ListedModel
from pajamas.operations.resolving import model_name, names_default, resolve
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
    artifacts: tuple[ListedModel, ...] = ()
    """What the folder's manifest lists; of an artifact with a receipt that one."""


@names_default
def info(
    model: str | Path | None = None,
    contexts: Sequence[int] = CONTEXTS,
    *,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
) -> ModelInfo:
    """Describe a model. Of weights only headers are read, also over the network.

    Args:
        model: a Hub id, a local folder, an alias, or an artifact, also as `tiny:q4_k_m`; None is the default model. A
            folder that `convert` wrote is described by its artifacts.
        contexts: context lengths whose memory is predicted.

    Raises:
        ModelNotFound: no such model, or no artifact of that scheme; `GatedModel`, `NotCached`.
        UsageError: several artifacts are of that scheme.
        UnsupportedModel: neither core nor a backend can read it.
        ModelFileError: its config or a header is damaged.
        DownloadError: the Hub cannot be reached.
    """
    host = host or PluginHost()
    source = resolve(host, model)
    if source.kind == "folder" or source.quant:
        made = receipts_of(source)
        if source.quant and (made or source.kind == "folder"):
            source = _artifact(host, source, made, asked=str(model))
        elif made and source.path is not None and _is_output(source.path):
            return _of_artifacts(host, source, source.path, made)
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

    found = model_info(
        source,
        files,
        architecture,
        cached=source.path if source.kind == "file" else _cached(files),
        backends=makers,
        dry_run=dry_run,
    )
    receipt = manifest.find_receipt(source.path) if source.path is not None else None
    return evolve(found, artifacts=(_listed(source.path, receipt[1]),)) if source.path and receipt else found


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
        reason = " ".join(line for line in (error.what, error.why) if line)
    return ProfileEstimate(profile=profile, format=format, scheme=target.scheme, artifact=artifact, reason=reason)


def _is_output(folder: Path) -> bool:
    """Whether a folder is what `convert` wrote, and no model by itself."""
    return (folder / manifest.FILE_NAME).is_file() and not (folder / "config.json").is_file()


def _artifact(host: PluginHost, source: Source, made: list[tuple[Path, Receipt]], *, asked: str) -> Source:
    """The one artifact of the scheme that `source` names."""
    scheme = source.quant or ""
    found = [path for path, receipt in made if is_scheme(receipt, scheme)]
    if not found:
        raise no_such_artifact(host, asked, source, made)
    if len(found) > 1:
        what = f"{asked!r} means {len(found)} artifacts."
        raise UsageError(what, "Which one is meant cannot be told.", f"Name one: {', '.join(map(str, found))}")
    (path,) = found
    return Source(text=str(path), kind="folder" if path.is_dir() else "file", path=path)


def _of_artifacts(host: PluginHost, source: Source, folder: Path, made: list[tuple[Path, Receipt]]) -> ModelInfo:
    """What a folder of artifacts holds. All are of one model: it is described as the first of them states it."""
    first, receipt = made[0]
    return ModelInfo(
        source=source,
        architecture=receipt.architecture or detect(host, LocalFiles(first)),
        size_on_disk=sum(receipt.size for _, receipt in made),
        cached=folder,
        artifacts=tuple(_listed(path, receipt) for path, receipt in made),
    )


def _listed(path: Path, receipt: Receipt) -> ListedModel:
    return ListedModel(
        kind="artifact",
        name=path.name,
        path=path,
        size=receipt.size,
        format=receipt.format,
        scheme=receipt.scheme,
        bits_per_weight=receipt.bits_per_weight,
    )


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
            if format not in info.named_formats:  # nothing is made in it unasked
                found.setdefault(format, info)
    known = PROFILES["balanced"].schemes
    return dict(sorted(found.items(), key=lambda item: item[0] not in known))
