"""Phi-3, Phi-3.5 and Phi-4, dense."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gguf
import numpy as np
from numpy.typing import NDArray

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas_gguf.convert.fallback import OTHER_CONVERTER
from pajamas_gguf.convert.families.base import Family, Shapes

_LONGROPE = ("longrope", "su", "yarn")  # the first configs of Phi-3 had the other two names for it


class Phi3(Family):
    """Phi3ForCausalLM: fused q, k, v and fused gate and up."""

    arch = gguf.MODEL_ARCH.PHI3
    defaults: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 32064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": None,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.context = self.hp.integer("max_position_embeddings")
        scaled = self.hp.rope_type in _LONGROPE
        if not scaled and (self.hp.rope_type != "default" or self.hp.rope_numbers("long_factor")):
            raise UnsupportedModel(
                f"Rope scaling {self.hp.rope_type!r} is not understood.",
                "Phi-3 models have longrope scaling or none.",
                OTHER_CONVERTER,
            )
        # transformers takes the config's own value for longrope, even where the rope parameters state another.
        in_rope = self.hp.rope.get("original_max_position_embeddings")
        if not scaled and in_rope is not None:
            self.hp.values["original_max_position_embeddings"] = in_rope
        self.original_context = self.hp.integer("original_max_position_embeddings")
        fraction = self.hp.rope_number("partial_rotary_factor", 1.0)
        self.rope_dims = int(fraction * self.hidden) // self.heads
        if not 0 < fraction <= 1 or self.original_context == 1:
            raise ModelFileError(
                "config.json makes no sense.",
                f"It states partial_rotary_factor {fraction}, and a context of {self.original_context} originally.",
                "Download the model again.",
            )

    def projections(self) -> Shapes:
        inner = self.hp.integer("intermediate_size")
        return {
            "attn_qkv.weight": ((self.heads + 2 * self.kv_heads) * self.head_dim, self.hidden),
            "attn_output.weight": (self.hidden, self.heads * self.head_dim),
            "ffn_up.weight": (2 * inner, self.hidden),
            "ffn_down.weight": (self.hidden, inner),
        }

    def computed_tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """longrope's two lists of factors, for contexts beyond the original one and within it."""
        long, short = self.hp.rope_numbers("long_factor"), self.hp.rope_numbers("short_factor")
        if long is None:
            return
        for name, factors in (("long", long), ("short", short or [])):
            if len(factors) * 2 != self.rope_dims:
                raise ModelFileError(
                    f"config.json states {len(factors)} factors as {name}_factor.",
                    f"{self.rope_dims} rotary dimensions need half as many.",
                    "Download the model again.",
                )
            yield f"rope_factors_{name}.weight", np.array(factors, dtype=np.float32)

    def notes(self) -> tuple[str, ...]:
        found = super().notes()
        if self.hp.rope_numbers("long_factor") is not None and self.context > self.original_context:
            found += (
                f"Loaded with a context of more than {self.original_context:,} tokens, llama.cpp reads every text with "
                "the rope factors for long ones, the original only those that are so long.",
            )
        return found

    def write_early(self, writer: Any) -> None:
        """longrope's attention factor (LongRoPE, arXiv 2402.13753, section 4): it grows with the stretch."""
        if self.hp.rope_numbers("long_factor") is None:
            return
        stretch = self.context / self.original_context
        growth = math.sqrt(1 + math.log(stretch) / math.log(self.original_context)) if stretch > 1 else 1.0
        writer.add_rope_scaling_attn_factors(growth)

    def write_parameters(self, writer: Any, file_type: int) -> None:
        writer.add_context_length(self.context)
        writer.add_rope_scaling_orig_ctx_len(self.original_context)
        writer.add_embedding_length(self.hidden)
        writer.add_feed_forward_length(self.hp.integer("intermediate_size"))
        writer.add_block_count(self.layers)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(self.hp.number("rms_norm_eps"))
        writer.add_rope_dimension_count(self.rope_dims)
        writer.add_rope_freq_base(self.hp.rope_number("rope_theta"))
        writer.add_file_type(file_type)
        writer.add_sliding_window(self.sliding_window() or 0)  # 0 tells llama.cpp that there is none
