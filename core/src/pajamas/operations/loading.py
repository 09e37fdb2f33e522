"""From a model reference to a loaded session."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from pajamas import hub, manifest, store
from pajamas.dispatch import DEVICES, Choice, choose
from pajamas.errors import (
    EngineMissing,
    ModelNotFound,
    PajamasError,
    PluginError,
    Unsupported,
    UnsupportedModel,
    UsageError,
)
from pajamas.hub_files import choose_gguf
from pajamas.modelfiles import LocalFiles, read_json
from pajamas.needs import load_features as load_features
from pajamas.operations.converted import foreign, is_foreign, is_scheme, no_such_artifact, receipts_of, refuse_damaged
from pajamas.operations.recognizing import folder_format
from pajamas.operations.resolving import names_default, resolve
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Artifact, Feature, LoadOptions, Session

if TYPE_CHECKING:
    from pajamas.manifest import Receipt
    from pajamas.source import Source

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Selection:
    """What will be loaded, and by which backend."""

    artifact: Artifact
    choice: Choice


def check_device(backend: str | None, options: LoadOptions) -> None:
    """Raises UsageError where `backend` is a device word and the options name another device."""
    if backend in DEVICES and options.device not in (None, backend):
        raise UsageError(
            f"The backend {backend} and the device {options.device} contradict each other.",
            f"As a backend, {backend} is the device that the layers run on.",
            "Leave one of them out.",
        )


def open_selection(selection: Selection, options: LoadOptions = LoadOptions(), *, isolated: bool = False) -> Session:
    """Load what was selected.

    Args:
        isolated: keep the session in a child process, so that an engine that crashes does not take this one along. One
            whose engine has an environment of its own is in a child process of that anyway.

    Raises:
        UsageError: the options contradict the device that was selected.
        PajamasError: what the backend's `load` raises.
    """
    choice = selection.choice
    check_device(choice.device, options)
    if choice.device:
        options = evolve(options, device=choice.device)
    for reason in choice.reasons:
        log.info("%s", reason)
    began = time.perf_counter()
    session = _open(selection, options, isolated=isolated)
    if log.isEnabledFor(logging.INFO):
        log.info(
            "Loaded %s in %.2f s: %s tokens of context, %.1f MB of memory%s.",
            selection.artifact.path,
            time.perf_counter() - began,
            f"{session.context_length:,}",
            session.memory.total / 1e6,
            ", in a worker process" if isolated or choice.info.python is not None else "",
        )
    return session


def _open(selection: Selection, options: LoadOptions, *, isolated: bool) -> Session:
    choice = selection.choice
    if isolated or choice.info.python is not None:
        from pajamas.worker.client import WorkerSession

        return WorkerSession.start(choice.backend.name, selection.artifact, options, python=choice.info.python)
    return choice.backend.load(selection.artifact, options)


@names_default
def select(
    model: str | Path | Artifact | None,
    backend: str | None = None,
    needs: Iterable[Feature] = (),
    *,
    progress: Progress = NO_PROGRESS,
    host: PluginHost | None = None,
) -> Selection:
    """Find (and download, if it is an artifact on the Hub) what `model` names, and the backend for it.

    A name or a folder of a source model means what was converted from it, if anything was; an `Artifact` means itself.

    Raises:
        ModelNotFound: there is no such model.
        UnsupportedModel: it is a source model that no installed backend loads as it is; the message says how to
            convert it.
        UsageError: there are several artifacts and nothing says which.
        PajamasError: what `dispatch.choose` raises.
    """
    host = host or PluginHost()
    needs = frozenset(needs)
    if isinstance(model, Artifact):
        return Selection(artifact=model, choice=choose(host, model.format, backend, needs))
    source = resolve(host, model, backend)
    asked = source.text if model is None else str(model)
    if source.kind == "file":
        assert source.path is not None
        return _of_path(host, source.path, source.format or "gguf", backend, needs)
    if source.kind == "hub":
        return _of_hub(host, source, backend, needs, progress, asked=asked)
    assert source.path is not None
    if (source.path / manifest.FILE_NAME).is_file():
        return _of_receipts(host, source, receipts_of(source), backend, needs, asked=asked)
    return _of_folder(host, source, source.path, backend, needs, asked=asked)


def _of_hub(
    host: PluginHost,
    source: Source,
    backend: str | None,
    needs: frozenset[Feature],
    progress: Progress,
    *,
    asked: str,
) -> Selection:
    receipts = receipts_of(source) if not source.filename else []
    if receipts and not _loads_source_only(host, source, backend, receipts):
        return _of_receipts(host, source, receipts, backend, needs, asked=asked)
    resolved, files = hub.open_files(source)
    if any(name.endswith(".gguf") for name in files.sizes()):
        _, path = hub.download(source, progress=progress)
        return _of_path(host, path, "gguf", backend, needs)
    format = _folder_format(read_json(files, "config.json"))
    choice = _choose_or_convert(host, source.text, format, backend, needs)
    _, path = hub.download(resolved, progress=progress)
    return Selection(artifact=Artifact(path=path, format=format), choice=choice)


def _of_folder(
    host: PluginHost, source: Source, folder: Path, backend: str | None, needs: frozenset[Feature], *, asked: str
) -> Selection:
    files = LocalFiles(folder)
    ggufs = [name for name in files.sizes() if (name.endswith(".gguf") and "-of-" not in name) or "-00001-of-" in name]
    config = read_json(files, "config.json")
    if config is None and ggufs and source.quant:
        chosen = choose_gguf(files.sizes(), source.quant, None, str(folder))
        return _of_path(host, folder / chosen[0], "gguf", backend, needs)
    if config is None and len(ggufs) == 1:
        return _of_path(host, folder / ggufs[0], "gguf", backend, needs)
    if config is None and ggufs:
        fix = f"Name one of them: {', '.join(ggufs)}"
        raise ModelNotFound(f"{folder} is not one model.", "It holds several GGUF files.", fix)
    format = _folder_format(config) if any(name.endswith(".safetensors") for name in files.sizes()) else None
    format = format or folder_format(host, files.sizes(), str(folder), backend)
    if format in (None, "safetensors"):
        refuse_damaged(folder, format)
    if format is None and config is None:
        why = "It has neither config.json nor manifest.json nor a GGUF file, nor anything that a backend knows by name."
        raise ModelNotFound(f"{folder} is not one model.", why, "Name the folder that holds config.json.")
    format = format or _folder_format(config)
    receipts = store.artifacts_of(source) if format == "safetensors" else []
    if receipts and not _loads_source_only(host, source, backend, receipts):
        return _of_receipts(host, source, receipts, backend, needs, asked=asked)
    if source.quant:
        raise no_such_artifact(host, asked, source, [])
    choice = _choose_or_convert(host, asked, format, backend, needs)
    return Selection(artifact=Artifact(path=folder, format=format), choice=choice)


def _loads_source_only(
    host: PluginHost, source: Source, backend: str | None, receipts: list[tuple[Path, Receipt]]
) -> bool:
    """Whether the backend that was named loads the model as it is, and nothing of what was made from it."""
    if backend is None or backend in DEVICES or source.quant:
        return False
    formats = host.backend(backend).describe().formats
    return "safetensors" in formats and not any(
        receipt.format in formats and not is_foreign(receipt, backend) for _, receipt in receipts
    )


def _folder_format(config: dict[str, object] | None) -> str:
    """mlx-lm marks its own folders by a `quantization` block of bits and group size."""
    block = (config or {}).get("quantization")
    return "mlx" if isinstance(block, dict) and "group_size" in block else "safetensors"


def _of_path(host: PluginHost, path: Path, format: str, backend: str | None, needs: frozenset[Feature]) -> Selection:
    return Selection(artifact=Artifact(path=path, format=format), choice=choose(host, format, backend, needs))


def _of_receipts(
    host: PluginHost,
    source: Source,
    receipts: list[tuple[Path, Receipt]],
    backend: str | None,
    needs: frozenset[Feature],
    *,
    asked: str,
) -> Selection:
    """The one artifact that a backend here serves, of several formats GGUF first, then in order of name, whatever the
    order of the receipts; two of one format are for the person to choose from."""
    if source.quant:
        found = [(path, receipt) for path, receipt in receipts if is_scheme(receipt, source.quant)]
        if not found:
            raise no_such_artifact(host, asked, source, receipts)
        receipts = found
    refusals: list[PajamasError] = []
    formats = sorted({receipt.format for _, receipt in receipts}, key=lambda name: (name != "gguf", name))
    for format in formats:
        try:
            found = [(path, receipt) for path, receipt in receipts if receipt.format == format]
            path, receipt = found[0]
            if is_foreign(receipt, backend):
                raise foreign(receipt, backend)
            # Whoever made it for a backend wants that one, though it be chosen for nothing else unasked.
            named = receipt.backend if format == "safetensors" and backend is None else backend
            choice = choose(host, format, named, needs)
        except (Unsupported, EngineMissing, PluginError) as error:
            refusals.append(error)
            continue
        if len(found) > 1:
            raise _several(asked, format, found)
        if len(formats) > 1:
            passed = tuple(error.what for error in refusals)
            reason = f"{asked} has artifacts in {' and '.join(formats)}: {format} is the first of them that is served."
            choice = evolve(choice, reasons=(*passed, reason, *choice.reasons))
        artifact = Artifact(path=path, format=format, scheme=receipt.scheme, size=receipt.size)
        return Selection(artifact=artifact, choice=choice)
    if not refusals:
        raise ModelNotFound(f"The manifest of {source.text} lists no artifact.", "", "Convert the model again.")
    made = _made_format(host, backend)
    if backend in (None, *DEVICES) or made in (None, *(receipt.format for _, receipt in receipts)):
        raise refusals[0]
    model = receipts[0][1].source.text if (source.path or Path()).joinpath(manifest.FILE_NAME).is_file() else asked
    raise UnsupportedModel(
        f"{asked!r} was not converted for backend {backend!r} yet.",
        f"There is: {', '.join(f'{receipt.format} {receipt.scheme}' for _, receipt in receipts)}.",
        f"pajamas convert --model {shlex.quote(model)} --formats {made}   (then run this command again)",
    ) from refusals[0]


def _several(asked: str, format: str, found: list[tuple[Path, Receipt]]) -> UsageError:
    schemes = [(receipt.scheme or "").lower() for _, receipt in found]
    # Two of one scheme, or of none, have only their paths to be told apart by.
    names = [str(path) for path, _ in found]
    if all(schemes) and len(set(schemes)) == len(schemes):
        names = [f"{asked}:{scheme}" for scheme in schemes]
    what = f"{asked!r} has {len(found)} {format} artifacts."
    return UsageError(what, "Which one is meant cannot be told.", f"Name one of them: {', '.join(names)}")


def _choose_or_convert(
    host: PluginHost, model: str, format: str, backend: str | None, needs: frozenset[Feature]
) -> Choice:
    """A backend that loads the source as it is; else the error says how to make what the backends here load."""
    try:
        return choose(host, format, backend, needs)
    except Unsupported as error:
        made = _made_format(host, backend)
        if format != "safetensors" or made is None or (backend in DEVICES and error.what.startswith("There is no")):
            raise
        named = backend if backend and backend not in DEVICES else "gguf"
        raise UnsupportedModel(
            f"{model!r} is a Hugging Face model, and must be converted first.",
            f"Backend {named!r} does not load it as it is.",
            f"pajamas convert --model {shlex.quote(model)} --formats {made}   (then run this command again)",
        ) from error


def _made_format(host: PluginHost, backend: str | None) -> str | None:
    """What the backend that was named makes of a source model, if it makes anything; GGUF where none was named."""
    if backend is None or backend in DEVICES:
        return "gguf"
    info = host.backend(backend).describe()
    return info.formats[0] if info.schemes and info.formats else None
