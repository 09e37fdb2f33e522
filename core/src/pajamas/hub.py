"""Models from the Hub and from this machine: look at their files, or have them here.

huggingface_hub does the work where it can: its cache, tokens, addresses and environment variables (HF_HOME, HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE ...) hold. It reads those when it is imported.
"""

from __future__ import annotations

from pathlib import Path

from pajamas.hub_cache import CachedModel, CacheState, cache_state, cached_models, snapshot_folder
from pajamas.hub_download import bring
from pajamas.hub_errors import hub_errors
from pajamas.hub_files import INDEX, SINGLE, check_complete, weight_files
from pajamas.hub_remote import RemoteFiles
from pajamas.hub_repository import look_up, needed
from pajamas.modelfiles import LocalFiles, ModelFiles
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.source import Source

__all__ = ["CacheState", "CachedModel", "cache_state", "cached_models", "download", "open_files"]


def open_files(source: Source) -> tuple[Source, ModelFiles]:
    """A model's files for reading headers, and the source with its commit. Weights are never downloaded.

    For a repository the files are those that `download` would bring; those in the cache are read there.

    Raises:
        ModelNotFound: no such repository, revision, file or folder; `GatedModel`, `NotCached`.
        UsageError: the repository has several GGUF models and none was chosen.
        ModelFileError: a local folder lacks shards that its index names.
        UnsupportedModel: there is no model in the repository.
        DownloadError: the Hub cannot be reached.
    """
    if source.kind != "hub":
        return source, _local_files(source)
    with hub_errors(source):
        repository = look_up(source)
        resolved, names = needed(repository, RemoteFiles(repository, repository.files).read, complete=False)
        return resolved, RemoteFiles(repository, names)


def download(source: Source, *, progress: Progress = NO_PROGRESS) -> tuple[Source, Path]:
    """Have all of a model on this machine: the source with its commit, and the snapshot's folder or the .gguf file.

    Only what is needed is transferred. What an earlier run has brought is kept, down to the byte; weights are compared
    with the SHA-256 that the Hub lists. For a split GGUF model the path is its first file; the others lie beside it.

    Raises:
        ModelNotFound, GatedModel, NotCached, UsageError, UnsupportedModel: as `open_files`.
        ModelFileError: the repository or folder lacks shards.
        NotEnoughDisk: found out before the download where sizes tell.
        ChecksumMismatch: a file arrived damaged; it was removed, and a second run fetches it anew.
        DownloadError: the network failed more often than it is tried again; a second run goes on from there.
    """
    if source.kind != "hub":
        _local_files(source)
        assert source.path is not None
        return source, source.path
    with hub_errors(source):
        repository = look_up(source)
        resolved, names = needed(repository, RemoteFiles(repository, repository.files).read, complete=True)
        bring(repository, names, progress)
    folder = snapshot_folder(repository.repo_id, repository.commit)
    return resolved, folder if resolved.filename is None else folder / resolved.filename


def _local_files(source: Source) -> ModelFiles:
    assert source.path is not None
    files = LocalFiles(source.path)
    sizes = files.sizes()
    if source.kind == "folder" and INDEX in sizes and SINGLE not in sizes:
        check_complete(weight_files(sizes, files.read(INDEX), files.origin), sizes, files.origin)
    return files
