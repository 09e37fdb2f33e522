"""What this backend can do here, told without loading the engine."""

from __future__ import annotations

import sys

from pajamas.types import BackendInfo
from pajamas_mlx import engine, probe
from pajamas_mlx.quantize.schemes import ALIASES, PROFILES, QUANTIZE_OPTIONS, REFUSED, SCHEMES
from pajamas_mlx.session.features import FEATURES

_SLOW = "without Metal MLX computes on the processor: for correctness, many times slower than llama.cpp"


def describe(thorough: bool = False) -> BackendInfo:
    """Versions from metadata, devices from the platform. With `thorough` the best device is tried, in a child."""
    version = engine.version()
    devices = engine.devices()
    supported = sys.platform in ("darwin", "linux")
    missing = "mlx-lm is not installed" if supported else "MLX runs on macOS and Linux only"
    unavailable = None if version is not None and supported else missing
    if unavailable is None and thorough:
        unavailable = probe.failure(devices[0])
    return BackendInfo(
        name="mlx",
        engine="MLX by mlx-lm",
        engine_version=version,
        formats=("mlx", "safetensors"),
        schemes=tuple(SCHEMES),
        features=FEATURES,
        devices=devices,
        named_formats=frozenset() if "metal" in devices else frozenset({"safetensors"}),
        unavailable=unavailable,
        fix="" if unavailable is None else engine.INSTALL,
        notes=() if "metal" in devices else (_SLOW,),
        scheme_aliases=ALIASES,
        refused_schemes=REFUSED,
        profile_schemes={"mlx": PROFILES},
        quantize_options=QUANTIZE_OPTIONS,
    )
