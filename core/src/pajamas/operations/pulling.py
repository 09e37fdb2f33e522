"""Downloading a model, and nothing else."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pajamas import hub
from pajamas.operations.resolving import names_default, resolve_whole
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress


@frozen(kw_only=True)
class PullResult:
    repo_id: str | None
    commit: str | None
    path: Path


@names_default
def pull(
    model: str | Path | None = None, *, progress: Progress = NO_PROGRESS, host: PluginHost | None = None
) -> PullResult:
    """Bring a model into the Hub's cache; a local path is only looked at.

    Raises:
        ModelNotFound, GatedModel, NotCached, DownloadError, NotEnoughDisk, ChecksumMismatch: as `hub.download`.
    """
    source, path = hub.download(resolve_whole(host or PluginHost(), model), progress=progress)
    return PullResult(repo_id=source.repo_id, commit=source.commit, path=path)
