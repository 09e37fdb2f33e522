"""Bringing files of a repository into huggingface_hub's cache, checked and without losing what is there."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pajamas.hub_cache import check_digest, check_space, note_commit, remove_file, repository_folder
from pajamas.hub_repository import Repository
from pajamas.hub_transfer import fetch_to
from pajamas.progress import NO_PROGRESS, Progress, Stage

log = logging.getLogger(__name__)


def bring(repository: Repository, names: Sequence[str], progress: Progress = NO_PROGRESS) -> None:
    """Have all these files in the cache. One stage counts the bytes of all of them; what is here counts at once.

    Raises:
        NotEnoughDisk: before anything is downloaded.
        ChecksumMismatch: a file arrived damaged; it was removed.
        NotCached, DownloadError: something is missing and the Hub cannot be asked.
    """
    missing = _missing(repository, names)
    if not missing:
        return
    if repository.from_cache:
        raise repository.absent(f"Missing: {', '.join(missing[:5])}")
    with _only_one(repository):
        if repository.just_resolved:
            note_commit(repository.repo_id, repository.source.revision, repository.commit)
        _bring(repository, names, _missing(repository, names), progress)


def _missing(repository: Repository, names: Sequence[str]) -> list[str]:
    return [name for name in names if repository.cached(name) is None]


@contextmanager
def _only_one(repository: Repository) -> Iterator[None]:
    """One process at a time brings files of a repository; a second one finds them when its turn comes."""
    from filelock import FileLock, Timeout
    from huggingface_hub import constants

    folder = repository_folder(repository.repo_id).name
    lock = FileLock(Path(constants.HF_HUB_CACHE) / ".locks" / folder / "pajamas.lock", mode=0o664)
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.warning("Waiting for another process that downloads %s.", repository.repo_id)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _bring(repository: Repository, names: Sequence[str], missing: Sequence[str], progress: Progress) -> None:
    sizes = {name: repository.files[name].size for name in names}
    check_space(sum(sizes[name] - _here(repository, name) for name in missing))
    with progress.stage("Download", sum(sizes.values()), "bytes") as stage:
        for name in names:
            meter = _Meter(stage, name, sizes[name])
            if name in missing:
                meter.advance(_here(repository, name))
                _bring_one(repository, name, meter.advance)
            meter.finish()


class _Meter:
    """Counts one file's bytes into the stage: never more than it has, and in the end all of them."""

    def __init__(self, stage: Stage, name: str, size: int) -> None:
        self._stage, self._name, self._left = stage, name, size

    def advance(self, amount: int) -> None:
        amount = min(amount, self._left)
        if amount > 0:
            self._left -= amount
            self._stage.advance(amount, self._name)

    def finish(self) -> None:
        self.advance(self._left)


def _here(repository: Repository, name: str) -> int:
    """How many bytes of a missing file are on the disk: the content under another commit, or the beginning of it."""
    file = repository.files[name]
    if file.blob is None:
        return 0
    blob, partial = _blob(repository, file.blob), _partial(repository, file.blob)
    if blob.is_file() and blob.stat().st_size == file.size:
        return file.size
    return partial.stat().st_size if partial.is_file() and partial.stat().st_size <= file.size else 0


def _blob(repository: Repository, blob: str) -> Path:
    return repository_folder(repository.repo_id) / "blobs" / blob


def _partial(repository: Repository, blob: str) -> Path:
    return _blob(repository, blob + ".incomplete")


def _bring_one(repository: Repository, name: str, advance: Callable[[int], object]) -> None:
    file, pointer = repository.files[name], repository.pointer(name)
    if os.path.lexists(pointer):  # of another size than it should have, or a link to nothing
        remove_file(pointer)
    blob = None if file.blob is None else _blob(repository, file.blob)
    if blob is not None and os.path.lexists(blob) and (not blob.is_file() or blob.stat().st_size != file.size):
        remove_file(blob)
    checked = blob is not None and blob.is_file()
    if file.sha256 is not None and not checked and not _by_xet(repository, name):
        _bring_blob(repository, name, advance)
        checked = True
    try:
        path = _bring_by_hub(repository, name, advance)
    except RuntimeError as error:  # hf_xet's own
        if file.sha256 is None or checked:
            raise
        log.warning("Xet storage fails (%s). Going on over plain HTTP.", error)
        _bring_blob(repository, name, advance)
        path, checked = _bring_by_hub(repository, name, advance), True
    if not checked:
        check_digest(path, name, repository.repo_id, sha256=file.sha256, git_sha1=file.git_sha1)


def _bring_by_hub(repository: Repository, name: str, advance: Callable[[int], object]) -> Path:
    """Let huggingface_hub link the content if it is there, or else download it: a small file, or one in xet storage."""
    from huggingface_hub import hf_hub_download

    commit, bar = repository.commit, _bar(advance)
    return Path(hf_hub_download(repository.repo_id, name, revision=commit, library_name="pajamas", tqdm_class=bar))


def _bring_blob(repository: Repository, name: str, advance: Callable[[int], object]) -> None:
    """Download a large file's content over plain HTTP to where the cache wants it, going on with what is there."""
    from huggingface_hub import hf_hub_url

    file = repository.files[name]
    assert file.sha256 is not None
    blob, partial = _blob(repository, file.sha256), _partial(repository, file.sha256)
    blob.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(repository.repo_id, name, revision=repository.commit)
    fetch_to(url, partial, file.size, advance)
    check_digest(partial, name, repository.repo_id, sha256=file.sha256, git_sha1=None)
    partial.replace(blob)


def _by_xet(repository: Repository, name: str) -> bool:
    """Whether huggingface_hub will fetch this file from xet storage: faster than HTTP, but it cannot be taken up."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    sha256 = repository.files[name].sha256
    has_xet = not constants.HF_HUB_DISABLE_XET and importlib.util.find_spec("hf_xet") is not None
    if not has_xet or _partial(repository, str(sha256)).is_file():
        return False
    url = hf_hub_url(repository.repo_id, name, revision=repository.commit)
    return get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT).xet_file_data is not None


def _bar(advance: Callable[[int], object]) -> Any:
    """What huggingface_hub takes for a tqdm class, handing its counts on; it draws nothing."""

    class Bar:
        def __init__(self, *args: Any, **options: Any) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, amount: float | None = 1) -> None:
            advance(int(amount or 0))

        def update_transfer(self, amount: float | None = 1) -> None:
            pass  # bytes on the wire, which differ from bytes of the file

        def set_postfix_str(self, text: str, refresh: bool = True) -> None:
            pass

        def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None:
            pass

        def close(self) -> None:
            pass

    return Bar
