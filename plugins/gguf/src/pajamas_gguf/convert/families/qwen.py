"""Qwen2 and 2.5, Qwen3, and Qwen3 with experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gguf

from pajamas.errors import UnsupportedModel
from pajamas_gguf.convert.families.base import Family, Shapes

_DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
}


class Qwen2(Family):
    """Qwen2ForCausalLM."""

    arch = gguf.MODEL_ARCH.QWEN2
    embeds = True
    defaults: ClassVar[Mapping[str, Any]] = _DEFAULTS

    def layer_tensors(self, layer: int) -> Shapes:
        shapes = super().layer_tensors(layer)
        for name in ("attn_q", "attn_k", "attn_v"):
            shapes[f"{name}.bias"] = shapes[f"{name}.weight"][:1]
        return shapes

    def sliding_window(self) -> int | None:
        return super().sliding_window() if self.hp.flag("use_sliding_window") else None


class Qwen3(Family):
    """Qwen3ForCausalLM."""

    arch = gguf.MODEL_ARCH.QWEN3
    bias_flags = ("attention_bias",)
    embeds = True
    defaults: ClassVar[Mapping[str, Any]] = {**_DEFAULTS, "head_dim": 128}

    def layer_tensors(self, layer: int) -> Shapes:
        norms: Shapes = {"attn_q_norm.weight": (self.head_dim,), "attn_k_norm.weight": (self.head_dim,)}
        return super().layer_tensors(layer) | norms

    def sliding_window(self) -> int | None:
        return super().sliding_window() if self.hp.flag("use_sliding_window") else None

    def notes(self) -> tuple[str, ...]:
        found = super().notes()
        if self.hp.flag("attention_bias"):
            found += ("llama.cpp will not load the file: it knows no bias of the attention's output in this family.",)
        return found


class Qwen3Moe(Qwen3):
    """Qwen3MoeForCausalLM: a router and experts in place of one feed-forward network."""

    arch = gguf.MODEL_ARCH.QWEN3MOE
    embeds = False
    defaults: ClassVar[Mapping[str, Any]] = {
        **_DEFAULTS,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 24,
        "num_key_value_heads": 4,
        "moe_intermediate_size": 768,
        "num_experts_per_tok": 8,
        "num_experts": 128,
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.experts = self.hp.optional_integer("num_local_experts") or self.hp.integer("num_experts")
        dense = self._dense_layers()
        if dense:
            raise UnsupportedModel(
                f"{len(dense)} of its {self.layers} layers have no experts.",
                "llama.cpp knows Qwen3 with experts in every layer only, or in none.",
                "Choose another model; no converter can help here.",
            )

    def projections(self) -> Shapes:
        inner = self.hp.integer("moe_intermediate_size")
        return {
            **self.attention_projections(),
            "ffn_gate_inp.weight": (self.experts, self.hidden),
            "ffn_gate_exps.weight": (self.experts, inner, self.hidden),
            "ffn_up_exps.weight": (self.experts, inner, self.hidden),
            "ffn_down_exps.weight": (self.experts, self.hidden, inner),
        }

    def notes(self) -> tuple[str, ...]:
        found = super().notes()
        if not self.hp.flag("norm_topk_prob"):
            found += (
                "This model does not normalize the weights of the experts that it chooses (norm_topk_prob is not set), "
                "llama.cpp always does: its answers will differ.",
            )
        return found

    def _dense_layers(self) -> list[int]:
        only, step = self.hp.values.get("mlp_only_layers") or [], self.hp.optional_integer("decoder_sparse_step") or 1
        listed = set(only) if isinstance(only, list) and all(type(layer) is int for layer in only) else set()
        return [layer for layer in range(self.layers) if layer in listed or (layer + 1) % step]

    def write_parameters(self, writer: Any, file_type: int) -> None:
        super().write_parameters(writer, file_type)
        writer.add_expert_feed_forward_length(self.hp.integer("moe_intermediate_size"))
