"""A hidden folder for unfinished files, which no run leaves behind for good."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = ".pajamas-work-"


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, removed at the end of the block.

    A process that is killed cannot remove its own, so each holds a lock while it lives, and the next run in the same
    `parent` removes those whose lock is free.
    """
    remove_stale(parent)
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    lock = FileLock(_lock_path(folder), timeout=0)
    # Locked before the folder is there: another run never sees it without its lock.
    with lock:
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_path(folder).unlink(missing_ok=True)


def remove_stale(parent: Path) -> None:
    """Remove the work folders in `parent` whose process is gone."""
    for path in parent.glob(f"{_PREFIX}*.lock"):
        # Another user's, or one that another run is removing at the same moment: not ours to worry about.
        with suppress(Timeout, OSError), FileLock(path, timeout=0):
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
