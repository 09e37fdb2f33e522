"""How fast this machine reads memory: what the generation of tokens is held against."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST, MOST = 2**28, 2**29
"""Bytes that are read: more than caches hold, no more than a small machine has."""
_REPEATS = 10
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


def measure(size: int | None = None) -> tuple[float, float]:
    """Bytes a second that one thread reads, and all that this process may run: the best of ten passes.

    A pass is numpy's dot product of a float32 array with itself, which BLAS computes faster than memory delivers; the
    caller sees to it that BLAS has one thread (`OPENBLAS_NUM_THREADS=1` and the like, before numpy is imported).
    """
    import numpy as np

    array = np.ones((size or buffer_size()) // 4, np.float32)
    one = _best(array.nbytes, [array])
    count = processors()
    return one, max(one, _best(array.nbytes, np.array_split(array, count))) if count > 1 else one


def processors() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def buffer_size() -> int:
    """Twice the last cache where Linux states it, between `LEAST` and `MOST`."""
    try:
        cache = int(_CACHE.read_text().strip().removesuffix("K")) * 1024
    except (OSError, ValueError):
        cache = 0
    return min(max(2 * cache, LEAST), MOST)


def _best(count: int, parts: Sequence[NDArray[np.float32]]) -> float:
    import numpy as np

    times = []
    for _ in range(_REPEATS):
        threads = [threading.Thread(target=np.dot, args=(part, part)) for part in parts]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times.append(time.perf_counter() - began)
    return count / min(times)
