"""The most memory that this process and those it has started have held."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil

_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_memory() -> int:
    """Bytes of resident memory at its highest, mapped files included; of processes that the engine started, too.

    On Linux VmHWM (proc_pid_status(5)): getrusage's ru_maxrss is handed on by the process that started this one.
    """
    return _own() + sum(_of_child(child) for child in psutil.Process().children(recursive=True))


def _own() -> int:
    if sys.platform == "linux":
        return _high_water(Path("/proc/self/status"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS (getrusage(2) there)


def _of_child(child: psutil.Process) -> int:
    try:
        if sys.platform == "linux":
            return _high_water(Path(f"/proc/{child.pid}/status"))
        return int(child.memory_info().rss)
    except (psutil.Error, OSError):
        return 0  # it has ended meanwhile


def _high_water(status: Path) -> int:
    found = _HIGH_WATER.search(status.read_text())
    return 1024 * int(found[1]) if found else 0
