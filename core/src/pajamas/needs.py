"""Which features requests and options need, and the error where a backend lacks one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pajamas.errors import UnsupportedFeature
from pajamas.features import Feature

if TYPE_CHECKING:
    from pajamas.requests import GenerateRequest
    from pajamas.types import LoadOptions

_SAMPLING = {
    "top_k": Feature.TOP_K,
    "min_p": Feature.MIN_P,
    "typical_p": Feature.TYPICAL_P,
    "repetition_penalty": Feature.REPETITION_PENALTY,
    "presence_penalty": Feature.PRESENCE_PENALTY,
    "frequency_penalty": Feature.FREQUENCY_PENALTY,
    "seed": Feature.SEED,
}


def needed_features(request: GenerateRequest) -> frozenset[Feature]:
    """What a backend must support to honour every option of the request."""
    needs = {feature for name, feature in _SAMPLING.items() if getattr(request.sampling, name) is not None}
    needs |= {Feature.LOGIT_BIAS} if request.sampling.logit_bias else set()
    needs |= {Feature.IGNORE_EOS} if request.ignore_eos else set()
    needs |= {Feature.LOGPROBS} if request.logprobs is not None else set()
    needs |= {Feature.JSON_SCHEMA} if request.json_schema is not None else set()
    needs |= {Feature.GRAMMAR} if request.grammar is not None else set()
    needs |= {Feature.TOOLS} if request.tools else set()
    needs |= {Feature.THINKING} if request.mode == "thinking" else set()
    needs |= {Feature.EXACT} if request.exact else set()
    return frozenset(needs)


def load_features(options: LoadOptions) -> frozenset[Feature]:
    """What a backend must support to honour these options. No layers on a GPU is what a backend without one does, and a
    single device what every backend uses.
    """
    needs = {Feature.KV_TYPE} if options.kv_type is not None else set()
    needs |= {Feature.COMPUTE_DTYPE} if options.compute_dtype is not None else set()
    needs |= {Feature.GPU_LAYERS} if options.gpu_layers else set()
    needs |= {Feature.EMBEDDINGS} if options.embeddings else set()
    spread = {options.tensor_parallel, options.pipeline_parallel} - {None, 1}
    needs |= {Feature.DISTRIBUTED} if spread or options.distributed is not None else set()
    return frozenset(needs)


def refuse_missing(backend: str, needs: Iterable[Feature], supported: Iterable[Feature]) -> None:
    """Raises UnsupportedFeature naming each feature that is needed and not among the supported ones."""
    if missing := frozenset(needs) - frozenset(supported):
        raise missing_features(backend, missing, supported)


def missing_features(backend: str, missing: Iterable[Feature], supported: Iterable[Feature]) -> UnsupportedFeature:
    """The error for features that a backend, or its session, lacks."""
    return UnsupportedFeature(
        f"Backend {backend!r} does not support {feature_words(missing)}.",
        f"It supports {feature_words(supported)}.",
        "Leave the option out.",
    )


def feature_words(features: Iterable[Feature]) -> str:
    """Features as people name them, sorted."""
    return ", ".join(sorted(feature.value for feature in features)) or "no optional feature"
