"""A finished artifact that is a folder takes its final name, whole or not at all."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from pajamas.errors import TargetExists, UsageError
from pajamas.modelfiles import LocalFiles

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2), RENAME_SWAP of renamex_np(2)


def check_target(path: Path, source: Path | None, *, force: bool) -> None:
    """Refuse what must not be replaced.

    Raises:
        TargetExists: something is there, and `force` is not set.
        UsageError: it is no model folder, or it holds the source.
    """
    if source is not None and source.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{path} holds the source.", "It would be replaced.", "Name another --output.")
    if path.is_file():
        raise UsageError(f"{path} is a file.", "The output is a folder.", "Name another --output.")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not force:
        raise TargetExists(f"{path} is there already.", "Nothing is replaced unasked.", "Use --force to replace it.")
    names = LocalFiles(path).sizes()
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise UsageError(f"{path} is no model folder.", "Other files would be lost.", "Name another --output.")


def publish(folder: Path, target: Path, *, force: bool) -> None:
    """Move a complete folder to its name. What stood there goes to where `folder` was, to be removed with that.

    Raises:
        TargetExists: something has come to stand there meanwhile.
    """
    for path in (*folder.rglob("*"), folder):
        _flush(path)
    if target.is_dir() and any(target.iterdir()):
        if not force:
            check_target(target, None, force=False)
        if not _exchange(folder, target):
            # Not in one step on this disk: if the power fails now, the old one is beside the new one.
            os.rename(target, folder.with_name("replaced"))
            os.rename(folder, target)
    else:
        try:
            os.rename(folder, target)  # over an empty folder, never over a full one
        except OSError:
            check_target(target, None, force=False)
            raise
    _flush(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step; False if this system or disk cannot."""
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            return bool(
                libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_EXCHANGE))
                == 0
            )
        if sys.platform == "darwin":
            return bool(libc.renamex_np(os.fsencode(one), os.fsencode(other), ctypes.c_uint(_EXCHANGE)) == 0)
    return False


def _flush(path: Path) -> None:
    # Not every system and network disk can do this for folders; the files themselves are safe by then.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
