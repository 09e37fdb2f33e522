"""Reads from the engine's log how much memory it has taken.

Its C API does not say (the C++ function for it has no stable ABI); the log has said it in these words for years.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pajamas.types import MemoryUse

_BUFFER = re.compile(r"(?P<buffer>\S+)\s+(?P<kind>model|KV|RS|compute|output) buffer size =\s+(?P<mib>[\d.]+) MiB")
_STATE = re.compile(r"^llama_(?:kv_cache|memory)\w*: size =\s+(?P<mib>[\d.]+) MiB")
_MIB = 1 << 20


def read_memory(lines: Iterable[str], weights: int) -> MemoryUse:
    """Memory by purpose; `weights` is the size of all tensors in bytes. Exact to 0.01 MiB a buffer.

    A memory-mapped file counts once: tensors that were repacked for this CPU no longer need their mapped pages.
    """
    allocated = state = compute = 0.0
    for line in lines:
        if found := _BUFFER.search(line):
            amount = float(found["mib"])
            if found["kind"] == "model" and not found["buffer"].endswith("_Mapped"):
                allocated += amount
            elif found["kind"] in ("compute", "output"):
                compute += amount
        elif found := _STATE.search(line):
            state += float(found["mib"])
    return MemoryUse(
        weights=max(weights, int(allocated * _MIB)), kv_cache=int(state * _MIB), compute=int(compute * _MIB)
    )
