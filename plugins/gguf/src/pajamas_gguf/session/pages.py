"""Memory that a loaded model does not need: pages of its file whose tensors the engine keeps in another layout."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_MADV_DONTNEED = 4  # linux/mman.h
_BUFFER = re.compile(r"(\S+) model buffer size")


def forget_copied(load_log: Iterable[str], files: Iterable[Path]) -> None:
    """Take a mapped file's pages out of this process's memory, if the engine has copied tensors out of it.

    It maps the whole file, copies most tensors into a layout that the processor (or a GPU) is fast with, and keeps the
    pages that it has read for that: as much memory again. What is still wanted of them comes back from the system's
    cache when it is touched. Linux only; elsewhere the system sees to it when memory gets short.
    """
    if sys.platform != "linux" or not any(map(_copied, load_log)):
        return
    names = {str(file.resolve()) for file in files}
    madvise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        bounds, _, rest = line.partition(" ")
        if rest[rest.find("/") :] in names and "w" not in rest[:4]:
            begin, end = (int(bound, 16) for bound in bounds.split("-"))
            madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def _copied(line: str) -> bool:
    found = _BUFFER.search(line)
    return found is not None and not found[1].endswith("_Mapped")
