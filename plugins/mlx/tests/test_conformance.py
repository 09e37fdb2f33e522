"""The MLX backend keeps the contract of backends."""

from __future__ import annotations

from pajamas.testing import BackendConformance


class TestMLX(BackendConformance):
    backend = "mlx"
    engine_modules = ("mlx", "mlx_lm")
