"""One revision of a model repository, at the Hub or as far as the cache has it: what it holds and what is needed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from pajamas.errors import ModelFileError, ModelNotFound, PajamasError, UnsupportedModel
from pajamas.hub_cache import COMMIT, cached_commit, snapshot_folder, snapshot_sizes
from pajamas.hub_errors import explain, not_a_hub, not_cached
from pajamas.hub_files import (
    INDEX,
    SINGLE,
    check_complete,
    check_name,
    choose_gguf,
    gguf_choices,
    no_weights,
    side_files,
    weight_files,
)
from pajamas.source import Source

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TRIES = 3


@frozen
class RemoteFile:
    """A file as the Hub lists it, or (without digests) as it lies in the cache."""

    size: int
    sha256: str | None = None
    """Of a file in large file storage; these are the weights, and often the tokenizer."""
    git_sha1: str | None = None
    """Of any other file, as git counts it."""

    @property
    def blob(self) -> str | None:
        """What the cache calls the content."""
        return self.sha256 or self.git_sha1


@frozen(kw_only=True)
class Repository:
    """The files of one commit."""

    source: Source
    """Resolved: `commit` is set."""
    files: Mapping[str, RemoteFile]
    just_resolved: bool = False
    """Whether the Hub has just said that this is the revision's commit, rather than the caller."""
    problem: BaseException | None = None
    """Why the Hub could not be asked; then `files` are those in the cache."""
    offline: bool = False

    @property
    def repo_id(self) -> str:
        assert self.source.repo_id is not None
        return self.source.repo_id

    @property
    def commit(self) -> str:
        assert self.source.commit is not None
        return self.source.commit

    @property
    def from_cache(self) -> bool:
        return self.offline or self.problem is not None

    def pointer(self, name: str) -> Path:
        """Where the cache keeps the file, if it has it."""
        check_name(name, self.repo_id)
        return snapshot_folder(self.repo_id, self.commit) / name

    def cached(self, name: str) -> Path | None:
        """The file in the cache; None if it is not there or has another size than the Hub says."""
        path = self.pointer(name)
        return path if path.is_file() and path.stat().st_size == self.files[name].size else None

    def absent(self, why: str) -> PajamasError:
        """The error for a file that the cache lacks, while the Hub cannot be asked."""
        return explain(self.problem, self.source) if self.problem else not_cached(self.source, why)


def look_up(source: Source) -> Repository:
    """Ask the Hub for a revision's commit and files; where it cannot be asked, look into the cache.

    Raises:
        Whatever `hub_errors` translates; call it inside.
    """
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.is_offline_mode():
        found = _from_cache(source, None)
        if found is None:
            raise not_cached(source)
        return found
    try:
        return _ask(source)
    except (httpx2.TransportError, HfHubHTTPError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
            raise
        found = _from_cache(source, error)
        if found is None:
            raise
        return found


def _ask(source: Source) -> Repository:
    import httpx2
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError

    api = HfApi(library_name="pajamas")
    revision = source.commit or source.revision
    # One request with a time limit: list_repo_tree and resolve_revision would wait for a silent server for ever.
    limit = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        info = _patiently(
            lambda: api.model_info(str(source.repo_id), revision=revision, files_metadata=True, timeout=limit)
        )
        if not COMMIT.fullmatch(str(info.sha)):
            raise ValueError(f"commit {info.sha!r}")
        files = {str(entry.rfilename): _listed(entry) for entry in info.siblings or ()}
    except (httpx2.HTTPError, OSError, HFValidationError):
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_a_hub(error) from error
    return Repository(source=evolve(source, commit=info.sha), files=files, just_resolved=source.commit is None)


def _listed(entry: Any) -> RemoteFile:
    size = entry.lfs.size if entry.lfs is not None else entry.size
    if type(size) is not int or size < 0:
        raise ValueError(f"{entry.rfilename} has the size {size!r}")
    if entry.lfs is not None and _SHA256.fullmatch(str(entry.lfs.sha256)):
        return RemoteFile(size, sha256=entry.lfs.sha256)
    return RemoteFile(size, git_sha1=entry.blob_id if COMMIT.fullmatch(str(entry.blob_id)) else None)


def _patiently(call: Callable[[], Any]) -> Any:
    """The result of a request, tried again shortly after where the network or the Hub failed."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for turn in range(1, _TRIES):
        try:
            return call()
        except (httpx2.TransportError, HfHubHTTPError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                raise
            time.sleep(0.2 * turn)
    return call()


def _from_cache(source: Source, problem: BaseException | None) -> Repository | None:
    repo_id = str(source.repo_id)
    commit = source.commit or cached_commit(repo_id, source.revision)
    if commit is None or not snapshot_folder(repo_id, commit).is_dir():
        return None
    files = {name: RemoteFile(size) for name, size in snapshot_sizes(repo_id, commit).items()}
    return Repository(source=evolve(source, commit=commit), files=files, problem=problem, offline=problem is None)


def needed(repository: Repository, read: Callable[[str], bytes], *, complete: bool) -> tuple[Source, list[str]]:
    """The files that make up the model that was asked for, small ones first, and the source that says which it is.

    Args:
        read: gives the content of a small file.
        complete: whether missing weights are an error; without it, those that are there are returned.

    Raises:
        ModelNotFound, UsageError: the GGUF file that was asked for is not there, or several are.
        ModelFileError: shards are missing.
        UnsupportedModel: it has no weights that can be read, or no config.json.
        NotCached, DownloadError: the Hub cannot be asked, and the cache does not have all of it.
    """
    try:
        return _needed(repository, read, complete=complete)
    except (ModelFileError, ModelNotFound, UnsupportedModel) as error:
        if repository.from_cache:
            raise repository.absent(f"{error.what} {error.why}") from error
        raise


def _needed(repository: Repository, read: Callable[[str], bytes], *, complete: bool) -> tuple[Source, list[str]]:
    source, names, origin = repository.source, repository.files, repository.repo_id
    index = read(INDEX) if INDEX in names and SINGLE not in names else None
    weights = [] if source.quant or source.filename else weight_files(names, index, origin)
    if source.quant or source.filename or (not weights and gguf_choices(names)):
        files = choose_gguf(names, source.quant, source.filename, origin)
        return evolve(source, filename=files[0]), list(files)
    if complete and not weights:
        raise no_weights(names, origin)
    if "config.json" not in names:
        raise UnsupportedModel(
            f"{origin} is not a model in Hugging Face layout.", "It has no config.json.", "Name another repository."
        )
    if complete:
        check_complete(weights, names, origin)
    return source, side_files(names) + [name for name in weights if name in names]
