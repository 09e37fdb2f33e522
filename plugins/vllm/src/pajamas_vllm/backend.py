"""What this backend can do here, told without loading the engine."""

from __future__ import annotations

from pajamas.environments.devices import cuda_is_here
from pajamas.types import BackendInfo
from pajamas_vllm import engine
from pajamas_vllm.environment import ENGINE, QUANTIZER
from pajamas_vllm.quantize.schemes import ALIASES, FORMAT, PROFILES, QUANTIZE_OPTIONS, REFUSED, SCHEMES
from pajamas_vllm.session.features import FEATURES


def describe(thorough: bool = False) -> BackendInfo:
    """Versions from metadata."""
    version = engine.version()
    return BackendInfo(
        name="vllm",
        engine="vLLM",
        engine_version=version,
        formats=(FORMAT,),
        schemes=tuple(SCHEMES),
        features=FEATURES,
        named_formats=frozenset() if cuda_is_here() else frozenset({FORMAT}),
        unavailable=None if version is not None else "vLLM is not installed",
        fix="" if version is not None else engine.INSTALL,
        environment=ENGINE,
        quantize_environment=QUANTIZER,
        scheme_aliases=ALIASES,
        refused_schemes=REFUSED,
        profile_schemes={FORMAT: PROFILES},
        quantize_options=QUANTIZE_OPTIONS,
    )
