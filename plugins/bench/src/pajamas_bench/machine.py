"""The machine that the figures are of."""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path

import psutil

from pajamas_bench.bandwidth import processors
from pajamas_bench.results import Machine

_PRESSURE = Path("/proc/pressure/cpu")
_WAITED = re.compile(r"^some .*total=(\d+)", re.MULTILINE)


class PressureMeter:
    """How much threads have waited for a processor since it was made, as Linux counts it (PSI)."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = _waited()

    def share(self) -> float | None:
        now, elapsed = _waited(), time.monotonic() - self._began
        if now is None or self._before is None or not elapsed:
            return None
        return min(max((now - self._before) / elapsed, 0.0), 1.0)


def describe(bandwidth: tuple[float, float], pressure: float | None) -> Machine:
    return Machine(
        processor=_processor(),
        processors=processors(),
        memory=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        bandwidth_one=bandwidth[0],
        bandwidth_all=bandwidth[1],
        pressure=pressure,
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _waited() -> float | None:
    """Seconds since the machine started."""
    try:
        found = _WAITED.search(_PRESSURE.read_text())
    except OSError:
        return None
    return int(found[1]) / 1e6 if found else None
