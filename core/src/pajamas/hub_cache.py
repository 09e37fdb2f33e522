"""huggingface_hub's cache on this machine: where a repository's files lie, what is there, whether more fits."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Literal

from attrs import frozen

from pajamas.errors import ChecksumMismatch, DownloadError, NotEnoughDisk
from pajamas.hub_files import INDEX, gguf_choices, weight_files
from pajamas.modelfiles import ModelFiles

COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 2**20


@frozen(kw_only=True)
class CachedModel:
    """One revision of a model in the Hub's cache, as `pajamas list` shows it."""

    repo_id: str
    commit: str
    path: Path
    """The snapshot's folder."""
    size: int
    """Bytes on disk of the files of this revision."""
    last_used: float
    """Seconds since the epoch; the newest access to any file of the repository that the system has noted."""
    kind: Literal["safetensors", "gguf", "partial"]
    """`partial`: weights are missing, for example because only `info` looked at it."""


@frozen(kw_only=True)
class CacheState:
    """How much of a model lies on this machine."""

    path: Path | None
    """The folder or file, None if nothing is here."""
    cached: int
    """Bytes of the model's files that are here."""
    total: int
    """Bytes of all of the model's files."""


def repository_folder(repo_id: str) -> Path:
    """Where the cache keeps a model repository: blobs/, refs/, snapshots/."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / ("models--" + repo_id.replace("/", "--"))


def snapshot_folder(repo_id: str, commit: str) -> Path:
    return repository_folder(repo_id) / "snapshots" / commit


def cached_commit(repo_id: str, revision: str | None) -> str | None:
    """The commit that a revision stood for when the Hub was last asked; None if that was never noted."""
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    try:
        noted = (repository_folder(repo_id) / "refs" / (revision or "main")).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return noted if COMMIT.fullmatch(noted) else None


def note_commit(repo_id: str, revision: str | None, commit: str) -> None:
    """Note what a revision stands for, the way huggingface_hub does, so that offline mode finds the snapshot."""
    if revision == commit:
        return
    note = repository_folder(repo_id) / "refs" / (revision or "main")
    if cached_commit(repo_id, revision) == commit:
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    beside = note.with_name(f"{note.name}.{uuid.uuid4().hex[:8]}.tmp")
    beside.write_text(commit)
    beside.replace(note)


def snapshot_sizes(repo_id: str, commit: str) -> dict[str, int]:
    """Every file of a snapshot that is really here, and its bytes."""
    folder = snapshot_folder(repo_id, commit)
    sizes = {}
    for path in folder.rglob("*"):
        if path.is_file():
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    return sizes


def check_space(needed: int) -> None:
    """Raise `NotEnoughDisk` with both numbers if the cache's disk has less than `needed` bytes free."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NotEnoughDisk(
            f"The download needs {needed / 1e9:.2f} GB, and the disk has {free / 1e9:.2f} GB free.",
            f"{needed} bytes are missing; {constants.HF_HUB_CACHE} lies on a disk with {free} bytes free.",
            "Free some space, or point HF_HOME at a larger disk.",
        )


def check_digest(path: Path, name: str, origin: str, *, sha256: str | None, git_sha1: str | None) -> None:
    """Compare a file with the digest that the Hub lists for it; remove it if it differs.

    Large files are listed with their SHA-256, small ones with git's SHA-1 of a blob.

    Raises:
        ChecksumMismatch: the file differs; it is gone, so that the next run fetches it anew.
    """
    wanted = sha256 or git_sha1
    if wanted is None:
        return
    digest = hashlib.sha256() if sha256 else hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != wanted:
        remove_file(path)
        raise ChecksumMismatch(
            f"{name} of {origin} arrived damaged.",
            f"Its {digest.name.upper()} is {digest.hexdigest()}, and the Hub lists {wanted}.",
            "The damaged file was removed: run the same command again.",
        )


def remove_file(path: Path) -> None:
    """Remove a file of the cache with all that it links to."""
    while path.is_symlink():
        target = path.parent / os.readlink(path)
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def cache_state(files: ModelFiles) -> CacheState:
    """How much of a model is on this machine; no network is used."""
    sizes = files.sizes()
    here = {name: path for name in sizes if (path := files.local_path(name)) is not None}
    folder = None
    if here:
        name, path = next(iter(here.items()))
        folder = path if list(sizes) == [name] and name.endswith(".gguf") else path.parents[name.count("/")]
    return CacheState(path=folder, cached=sum(sizes[name] for name in here), total=sum(sizes.values()))


def cached_models() -> list[CachedModel]:
    """Every revision of every model in the cache, by name; folders that are not in order are left out.

    Raises:
        DownloadError: the cache is not a folder.
    """
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    except ValueError as error:
        fix = "Point HF_HOME at a folder."
        raise DownloadError(f"The cache {constants.HF_HUB_CACHE} cannot be used.", str(error), fix) from error
    found = [
        CachedModel(
            repo_id=repository.repo_id,
            commit=revision.commit_hash,
            path=revision.snapshot_path,
            size=revision.size_on_disk,
            last_used=repository.last_accessed,
            kind=_kind(revision.snapshot_path, repository.repo_id),
        )
        for repository in repositories
        if repository.repo_type == "model"
        for revision in repository.revisions
    ]
    return sorted(found, key=lambda model: (model.repo_id.lower(), model.commit))


def _kind(folder: Path, repo_id: str) -> Literal["safetensors", "gguf", "partial"]:
    from pajamas.errors import ModelFileError

    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    try:
        index = (folder / INDEX).read_bytes() if INDEX in names else None
        weights = weight_files(names, index, repo_id)
    except (ModelFileError, OSError):
        return "partial"
    if weights and all(name in names for name in weights):
        return "safetensors"
    if not weights and any(all(name in names for name in choice.files) for choice in gguf_choices(names)):
        return "gguf"
    return "partial"
