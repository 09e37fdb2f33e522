"""The MLX backend's hooks. The engine is imported by the modules that these functions import, never by this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.hookspecs import hookimpl

if TYPE_CHECKING:
    from pajamas.types import BackendInfo

FORMAT = "mlx"


@hookimpl
def describe() -> BackendInfo:
    from pajamas_mlx.backend import describe

    return describe()
