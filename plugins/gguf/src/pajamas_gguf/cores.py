"""How many cores this process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

MAX_THREADS = 512
"""GGML_MAX_N_THREADS in ggml.h; the engine dies of more."""

_TOPOLOGY = "devices/system/cpu/cpu{}/topology/thread_siblings_list"


def usable_cores(system: Path = Path("/sys"), process: Path = Path("/proc/self")) -> int:
    """Physical cores in this process's CPU set, no more than its cgroup's quota of CPU time; at least 1.

    Two hardware threads of one core count once: the engine's matrix products gain nothing from the second.
    """
    if hasattr(os, "sched_getaffinity"):
        mine = os.sched_getaffinity(0)
        siblings = {_first_sibling(system, cpu) for cpu in mine}
        count = len(siblings)
    elif sys.platform == "darwin":
        count = _apple_cores()
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota(system, process)
    # A quota of 1.5 cores keeps two threads busy for three quarters of the time: better than one thread.
    return max(1, min(count, -int(-quota // 1)) if quota else count)


def _first_sibling(system: Path, cpu: int) -> str:
    try:
        return (system / _TOPOLOGY.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)


def _apple_cores() -> int:
    """Apple's performance cores: the engine is as slow as its slowest thread."""
    for key in ("hw.perflevel0.physicalcpu", "hw.physicalcpu"):
        try:
            found = subprocess.run(["sysctl", "-n", key], capture_output=True, timeout=5, check=True).stdout
            return int(found)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
    return os.cpu_count() or 1


def _cgroup_quota(system: Path, process: Path) -> float | None:
    """Cores' worth of CPU time of this process's cgroup or the tightest one above it, None without a limit."""
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = system / "fs/cgroup" / (controllers or ".")
        folder = PurePosixPath(path)
        for place in (folder, *folder.parents):
            quotas += _quota_of(root / str(place).lstrip("/"))
    return min(quotas, default=None)


def _quota_of(group: Path) -> list[float]:
    """cgroup v2 writes "quota period" into cpu.max ("max" for none), v1 two files (-1 for none)."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        return [int(quota) / int(period)] if quota != "max" and int(quota) > 0 else []
    except (OSError, ValueError, ZeroDivisionError):
        return []
