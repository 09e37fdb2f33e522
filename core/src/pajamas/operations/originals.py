"""The 16-bit model that a quantized one is measured against: found, or made on the fly and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from pathlib import Path

from pajamas import hub, manifest, receipts
from pajamas.dispatch import DEVICES, choose
from pajamas.errors import ModelNotFound, Unsupported
from pajamas.manifest import Receipt
from pajamas.model_texts import ModelText, evaluation_text
from pajamas.modelfiles import LocalFiles, ModelFiles, read_json
from pajamas.operations.converting import convert
from pajamas.operations.detecting import detect
from pajamas.operations.resolving import resolve
from pajamas.plugin_entries import core_version
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.source import Source
from pajamas.types import Artifact, Feature

log = logging.getLogger(__name__)


def find_original(
    host: PluginHost,
    original: str | Path | None,
    candidate: Artifact,
    *,
    backend: str | None = None,
    engine: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> str | Path | Artifact | None:
    """What to load as the original of `candidate`; None if nothing tells what it was made from, or that is gone,
    which is logged.

    A model in Hugging Face layout is taken as it is by a backend that loads and scores it, and for a GGUF candidate
    always as a 16-bit GGUF: the same engine on both sides leaves only the quantization to be measured. That file is
    made once and kept in the user's cache folder.

    Args:
        original: as a person names it; None is what the candidate's receipt says that it was made from.
        backend: the one that is to load the original, if it was named.
        engine: the candidate's backend, which is tried first: the same engine on both sides leaves only the
            quantization to be measured.

    Raises:
        PajamasError: what finding, downloading and converting the original raise.
    """
    named = original
    if named is None:
        found = manifest.find_receipt(candidate.path)
        if found is None:
            return None
        if (gone := gone_original(*found)) is not None:
            log.warning("%s", gone.what)
            return None
        record = found[1].source
        named = f"{record.repo_id}@{record.commit}" if record.repo_id and record.commit else record.text
    source = resolve(host, named)
    if source.kind == "file" or source.quant or source.filename:
        return named
    if source.kind == "folder" and source.path is not None and (source.path / manifest.FILE_NAME).is_file():
        return named
    source, files = hub.open_files(source)
    if not _is_whole(files):
        return named
    formats = host.backend(backend).describe().formats if backend and backend not in DEVICES else ()
    if "safetensors" in formats or (not formats and candidate.format != "gguf" and _takes_folders(host, engine)):
        _, path = hub.download(source, progress=progress)
        return Artifact(path=path, format="safetensors")  # the folder itself, not what was converted from it
    if formats and "gguf" not in formats:
        return named
    return sixteen_bit(host, source, files, progress=progress)


def gone_original(folder: Path, receipt: Receipt) -> ModelNotFound | None:
    """The error for an artifact of the manifest in `folder` whose original was a local model that is there no more."""
    text, path = receipt.source.text, folder / receipt.path
    if receipt.source.repo_id or Path(text).exists():
        return None
    return ModelNotFound(
        f"The original of {path} is gone: {text}",
        "Its quality is measured against that model, by the text that lies there.",
        f"Put it back, or name another copy: pajamas validate --quantized {shlex.quote(str(path))} --original MODEL",
    )


def is_own_source(host: PluginHost, original: str | Path, candidate: Artifact) -> bool:
    """Whether `original` names the model that the candidate's receipt says it was made from."""
    found = manifest.find_receipt(candidate.path)
    if found is None:
        return False
    recorded, named = found[1].source, resolve(host, original)
    if named.path is not None:
        return recorded.repo_id is None and str(named.path.resolve()) == recorded.text
    wanted = named.revision or "main"
    return named.repo_id == recorded.repo_id and wanted in (recorded.revision or "main", recorded.commit)


def own_text(host: PluginHost, original: str | Path | Artifact | None, candidate: Artifact) -> ModelText | None:
    """The evaluation text beside the model that `candidate` was made from, or that `original` names.

    Raises:
        ModelFileError: there is one, and it is damaged.
    """
    folders = [candidate.path]
    if isinstance(original, Artifact):
        folders.append(original.path)
    elif original is not None:
        named = resolve(host, original)
        folders += [named.path] if named.path is not None else []
    for artifact in tuple(folders):
        found = manifest.find_receipt(artifact)
        folders += [Path(found[1].source.text)] if found and not found[1].source.repo_id else []
    return next((text for folder in folders if (text := evaluation_text(folder))), None)


def sixteen_bit(host: PluginHost, source: Source, files: ModelFiles, *, progress: Progress = NO_PROGRESS) -> Path:
    """The source model as a 16-bit GGUF file in the cache, made if it is not there yet.

    Raises:
        PajamasError: what conversion raises.
    """
    import platformdirs

    scheme = "BF16" if detect(host, files).dtype == "bfloat16" else "F16"
    folder = platformdirs.user_cache_path("pajamas") / "originals" / f"{source.name.lower()}-{_key(source, scheme)}"
    folder.mkdir(parents=True, exist_ok=True)
    with receipts.locked(folder / "made"):
        made = sorted((folder / "gguf").glob("*.gguf"))
        if made:  # complete: an artifact gets its final name last
            return made[0]
        log.info("Making the 16-bit original of %s in %s.", source.text, folder)
        model = source.path if source.path is not None else f"{source.repo_id}@{source.commit or source.revision}"
        result = convert(model, folder, ["gguf"], scheme, progress=progress, host=host)
    return result.artifacts[0].path


def _is_whole(files: ModelFiles) -> bool:
    """Whether these files are a model in Hugging Face layout that nothing has quantized yet."""
    config = read_json(files, "config.json")
    if config is None or any(name.endswith(".gguf") for name in files.sizes()):
        return False
    return not ("quantization" in config or "quantization_config" in config)


def _takes_folders(host: PluginHost, engine: str | None) -> bool:
    for wanted in (engine, None):
        try:
            choose(host, "safetensors", wanted, needs=(Feature.SCORE,))
        except Unsupported:
            continue
        return True
    return False


def _key(source: Source, scheme: str) -> str:
    """Equal for an equal model converted by an equal pajamas; a local folder is known by its files' sizes and times."""
    facts: list[object] = [scheme, core_version(), source.repo_id, source.commit]
    if source.path is not None:
        facts += [str(source.path.resolve()), *_stamps(source.path)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _stamps(folder: Path) -> list[list[object]]:
    found = []
    for name in sorted(LocalFiles(folder).sizes()):
        state = (folder / name).stat()
        found.append([name, state.st_size, state.st_mtime_ns])
    return found
