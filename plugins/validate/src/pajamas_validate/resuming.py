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
    from pajamas.types import Artifact
    from pajamas_validate.windows import Windows

log = logging.getLogger(__name__)

_EVERY = 10.0
"""Seconds between two times that the state is written."""


class State:
    """The windows that are done, in memory and now and then in a file; `path` None keeps none."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self._written = time.monotonic()
        self._has_more = False

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


def state_of(windows: Windows, candidate: Artifact | None, original: Artifact | None, *, compared: bool) -> State:
    """The state of this very measurement: equal files, tokens, window length and versions.

    The number of windows does not count: a run over more of them goes on too. Without an artifact to know a model by
    there is nothing to go on with.
    """
    import platformdirs

    if candidate is None or (compared and original is None):
        return State(None, "")
    facts = [
        windows.text_digest,
        _stamps(candidate),
        _stamps(original) if original else None,
        importlib.metadata.version("pajamas"),
        importlib.metadata.version("pajamas-validate"),
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return State(platformdirs.user_cache_path("pajamas") / "validations" / f"{key[:16]}.npz", key)


def _stamps(artifact: Artifact) -> list[tuple[str, int, int]]:
    """Where the artifact's files lie, their sizes and times: a digest of gigabytes would cost more than it helps."""
    states = [(str(file.resolve()), file.stat()) for file in artifact_files(artifact.path)]
    return [(path, state.st_size, state.st_mtime_ns) for path, state in states]
