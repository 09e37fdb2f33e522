"""A file that appears under its name only when it is complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from pajamas.errors import NotEnoughDisk, UsageError


@contextmanager
def complete_file(target: Path) -> Iterator[BufferedWriter]:
    """Write beside `target` under a hidden name; renamed at the end, removed if anything is raised.

    The hidden name is always the same, so what a killed run left is overwritten by the next one. The data is not forced
    to the disk: most converted files are quantized and deleted soon after.

    Raises:
        NotEnoughDisk: the disk became full.
        UsageError: the place cannot be written to, or another process is writing this file just now.
    """
    part = hidden_name(target)
    if target.is_dir():
        raise UsageError(f"{target} cannot be written.", "It is a folder.", "Choose another output.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise UsageError(f"{target} cannot be written.", str(error), "Choose another output.") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _lock(descriptor, target)
            os.truncate(descriptor, 0)
            try:
                yield stream
                stream.flush()
            except BaseException:
                # While the lock is held: afterwards the name may be another process's.
                with suppress(OSError):
                    part.unlink()
                raise
        os.replace(part, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NotEnoughDisk(f"{target} cannot be written.", str(error), "Free some space.") from error
        raise


def hidden_name(target: Path) -> Path:
    """Where `complete_file` writes `target`."""
    return target.with_name(f".{target.name}.part")


def _lock(descriptor: int, target: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UsageError(f"Another process is writing {target}.", "", "Wait until it is done.") from error
        # A file system without locks, such as some network ones: go on without.
