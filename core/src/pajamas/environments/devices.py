"""Which variant of an environment fits this machine, told without any engine."""

from __future__ import annotations

import os
import shutil

from pajamas.environments.declaration import Environment
from pajamas.errors import UsageError

_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidiactl")
"""Left by NVIDIA's driver on Linux and in containers."""


def cuda_is_here() -> bool:
    """Whether a driver for NVIDIA's GPUs is installed; whether an engine can use them is told by the engine."""
    return any(map(os.path.exists, _NVIDIA)) or shutil.which("nvidia-smi") is not None


def variant_for(environment: Environment, device: str | None = None) -> str:
    """The variant for `device`; for None the best one whose device is here, and the last one where none is.

    Raises:
        UsageError: there is none for that device.
    """
    known = tuple(environment.variants)
    if device is not None and device not in known:
        raise UsageError(
            f"The environment {environment.name!r} has no variant for {device}.", f"It has: {', '.join(known)}.", ""
        )
    return device or next((name for name in known if name != "cuda" or cuda_is_here()), known[-1])
