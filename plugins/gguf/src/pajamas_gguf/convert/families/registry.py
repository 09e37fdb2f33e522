"""Which family a config names: `find_family`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pajamas.errors import UnsupportedModel
from pajamas_gguf.convert.fallback import OTHER_CONVERTER
from pajamas_gguf.convert.families.base import Family
from pajamas_gguf.convert.families.llama import Llama, Mistral
from pajamas_gguf.convert.families.phi import Phi3
from pajamas_gguf.convert.families.qwen import Qwen2, Qwen3, Qwen3Moe

FAMILIES: Mapping[str, type[Family]] = {
    "LlamaForCausalLM": Llama,
    "LLaMAForCausalLM": Llama,
    "LlamaModel": Llama,
    "MistralForCausalLM": Mistral,
    "Phi3ForCausalLM": Phi3,
    "Qwen2ForCausalLM": Qwen2,
    "Qwen2Model": Qwen2,
    "Qwen3ForCausalLM": Qwen3,
    "Qwen3Model": Qwen3,
    "Qwen3MoeForCausalLM": Qwen3Moe,
}
"""By the first of a config's `architectures`."""

_BY_MODEL_TYPE = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}
# Bare models of these classes keep their tensors without "model."; those of Qwen3 are mapped as they are.
_WITHOUT_PREFIX = ("LlamaModel", "Qwen2Model")


def find_family(config: Mapping[str, Any], name: str) -> Family:
    """The converter's knowledge of the architecture that `config` (config.json) names, for the model called `name`.

    Raises:
        UnsupportedModel: none of ours, or a variant that none of ours understands.
        ModelFileError: the config contradicts itself.
    """
    architecture = architecture_name(config)
    family = FAMILIES.get(architecture)
    if family is None:
        raise _unsupported(
            f"There is no converter for {architecture or 'this config'}.", f"pajamas' own knows {_known()}."
        )
    if quantization := config.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise UnsupportedModel(
            f"The model is quantized already{f' ({method})'[:40] if isinstance(method, str) else ''}.",
            "pajamas' own converter reads 16- and 32-bit weights.",
            f"Name the original, which loses less. Or: {OTHER_CONVERTER}",
        )
    if "draft_vocab_size" in config:
        raise _unsupported("The model is a draft for speculative decoding.", "It is no model by itself.")
    if "reranker" in name.lower() or "SequenceClassification" in architecture:
        raise _unsupported("The model is a reranker.", "pajamas' own converter knows models that generate or embed.")
    found = family(config)
    found.headless = architecture.endswith("Model")
    found.prefix = "model." if architecture in _WITHOUT_PREFIX else ""
    return found


def architecture_name(config: Mapping[str, Any]) -> str:
    """The class that the config names first; "" if it names none."""
    stated = config.get("architectures")
    if isinstance(stated, list) and stated and isinstance(stated[0], str):
        return stated[0]
    return _BY_MODEL_TYPE.get(str(config.get("model_type")), "")


def _known() -> str:
    return ", ".join(name for name in FAMILIES if name.endswith("ForCausalLM") and not name.startswith("LLaMA"))


def _unsupported(what: str, why: str) -> UnsupportedModel:
    return UnsupportedModel(what, why, OTHER_CONVERTER)
