"""What this backend can do here, told without loading the engine."""

from __future__ import annotations

import importlib.metadata

from pajamas.types import BackendInfo

_INSTALL = "pip install pajamas-mlx"


def describe() -> BackendInfo:
    try:
        version = importlib.metadata.version("mlx-lm")
    except importlib.metadata.PackageNotFoundError:
        version = None
    return BackendInfo(
        name="mlx",
        engine="MLX by mlx-lm",
        engine_version=version,
        formats=("mlx",),
        schemes=(),
        features=frozenset(),
        unavailable=None if version else "mlx-lm is not installed",
        fix="" if version else _INSTALL,
    )
