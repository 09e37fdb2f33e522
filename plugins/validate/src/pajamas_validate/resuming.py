"""What an interrupted run has measured, kept in the user's cache so that the next one goes on there."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.digests import artifact_files
from pajamas.errors import PajamasError
from pajamas_validate import scores
from pajamas_validate.scores import Scores, WindowScores

if TYPE_CHECKING:
    from pajamas.types import ValidateJob
    from pajamas_validate.settings import Settings
    from pajamas_validate.texts import Text

log = logging.getLogger(__name__)

_PARTS = ("pajamas", "pajamas-validate")
_EVERY = 10.0
"""Seconds between two times that the state is written."""


class State:
    """The windows that are done, in memory and now and then in a file; `path` None keeps none."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self._written = time.monotonic()
        self._has_more = False

    @property
    def is_there(self) -> bool:
        """Whether an earlier run has left something, sound or not."""
        return self._path is not None and self._path.is_file()

    def load(self, limit: int) -> list[WindowScores]:
        """The first windows, as far as they were measured, `limit` at most."""
        found = scores.read(self._path, self._key) if self._path else None
        windows = found.windows() if found else []
        self._has_more = len(windows) > limit
        windows = windows[:limit]
        if windows:
            log.warning("Going on after %d windows that an earlier run has measured.", len(windows))
        return windows

    def save(self, done: list[WindowScores], *, now: bool = False) -> None:
        """Write what is done, if the last time is long ago or it must be `now`."""
        if self._path is None or self._has_more or not done or not (now or time.monotonic() - self._written >= _EVERY):
            return
        self._written = time.monotonic()
        try:
            scores.write(self._path, Scores.of(done), self._key)
        except PajamasError as error:  # measuring goes on: only an interruption would cost more
            log.warning("An interrupted run could not be gone on with: %s %s", error.what, error.why)
            self._path = None

    def remove(self) -> None:
        """Forget what is done, unless it is more than this run was asked for."""
        if self._path is not None and not self._has_more:
            self._path.unlink(missing_ok=True)


def state_of(job: ValidateJob, settings: Settings, text: Text) -> State:
    """The state of this very measurement: equal files, text, window length, backends and versions.

    The number of windows does not count: a run over more of them goes on too. Without artifacts to know the models by
    there is nothing to go on with, and a reference is written from its first window on.
    """
    import platformdirs

    models = [(job.candidate, job.candidate_artifact)]
    models += [(job.original, job.original_artifact)] if job.original is not None else []
    if not settings.resume or settings.save_reference is not None:
        return State(None, "")
    facts: list[object] = [text.digest, settings.context, *(importlib.metadata.version(name) for name in _PARTS)]
    for session, artifact in models:
        if artifact is None:
            return State(None, "")
        facts.append([session.backend, *map(_stamp, artifact_files(artifact.path))])
    if settings.reference is not None:
        facts.append(_stamp(settings.reference))
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return State(platformdirs.user_cache_path("pajamas") / "validations" / f"{key[:16]}.npz", key)


def _stamp(file: Path) -> tuple[str, int, int]:
    """Where a file lies, its size and time: a digest of gigabytes would cost more than it helps."""
    state = file.stat()
    return str(file.resolve()), state.st_size, state.st_mtime_ns
