"""What the converter asks of a model family, and what most families share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gguf
import numpy as np
from numpy.typing import NDArray

from pajamas.errors import ModelFileError, UnsupportedModel
from pajamas_gguf.convert.fallback import OTHER_CONVERTER
from pajamas_gguf.convert.hyperparameters import Hyperparameters

Shapes = dict[str, tuple[int, ...]]


class Family:
    """One architecture: its tensors under GGUF names and its metadata, as llama.cpp's converter writes them.

    A subclass states what differs from a plain Llama-like decoder with separate q, k, v and gate, up, down.
    """

    arch: ClassVar[Any]  # a gguf.MODEL_ARCH; gguf has no type information
    defaults: ClassVar[Mapping[str, Any]]
    """What transformers' config class of this family fills in."""

    embeds: ClassVar[bool] = False
    """Whether llama.cpp's converter looks for the pooling of an embedding model in this family."""

    bias_flags: ClassVar[tuple[str, ...]] = ()
    """Which of attention_bias and mlp_bias transformers heeds in this family."""

    rope_types: ClassVar[tuple[str, ...]] = ("default", "linear", "yarn", "dynamic")

    windowed: ClassVar[bool] = True
    """Whether transformers heeds sliding_window in this family."""

    prefix = ""
    """Put before every source name: checkpoints of a bare model lack "model."."""
    experts = 0

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.name: str = gguf.MODEL_ARCH_NAMES[self.arch]
        self.hp = Hyperparameters(config, self.defaults)
        self.layers = self.hp.integer("num_hidden_layers")
        self.hidden = self.hp.integer("hidden_size")
        self.heads = self.hp.integer("num_attention_heads")
        self.kv_heads = self.hp.integer("num_key_value_heads")
        self.head_dim = self.hp.head_dim
        self.headless = False
        if self.head_dim == 0 or self.head_dim % 2 or self.heads % self.kv_heads:
            raise ModelFileError(
                "config.json makes no sense.",
                f"It states {self.heads} heads, {self.kv_heads} KV heads, hidden size {self.hidden}.",
                "Download the model again.",
            )

    # --- tensors ------------------------------------------------------------------------------------------------------

    def required_tensors(self) -> Shapes:
        """GGUF name to shape (row-major) of every tensor that must be there."""
        vocab = self.hp.integer("vocab_size")
        shapes: Shapes = {"token_embd.weight": (vocab, self.hidden), "output_norm.weight": (self.hidden,)}
        if not (self.hp.flag("tie_word_embeddings") or self.headless):
            shapes["output.weight"] = (vocab, self.hidden)
        for layer in range(self.layers):
            shapes |= {f"blk.{layer}.{name}": shape for name, shape in self.layer_tensors(layer).items()}
        return shapes

    def layer_tensors(self, layer: int) -> Shapes:
        """As `required_tensors`, for one layer and without its prefix."""
        shapes = self.projections()
        shapes |= {"attn_norm.weight": (self.hidden,), "ffn_norm.weight": (self.hidden,)}
        if "attention_bias" in self.bias_flags and self.hp.flag("attention_bias"):
            shapes |= _biases(shapes, "attn_q", "attn_k", "attn_v", "attn_output")
        if "mlp_bias" in self.bias_flags and self.hp.flag("mlp_bias"):
            shapes |= _biases(shapes, "ffn_gate", "ffn_up", "ffn_down")
        return shapes

    def projections(self) -> Shapes:
        """The matrices of one layer."""
        inner = self.hp.integer("intermediate_size")
        return {
            **self.attention_projections(),
            "ffn_gate.weight": (inner, self.hidden),
            "ffn_up.weight": (inner, self.hidden),
            "ffn_down.weight": (self.hidden, inner),
        }

    def attention_projections(self) -> Shapes:
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "attn_q.weight": (query, self.hidden),
            "attn_k.weight": (key, self.hidden),
            "attn_v.weight": (key, self.hidden),
            "attn_output.weight": (self.hidden, query),
        }

    def optional_tensors(self) -> Shapes:
        """What may be there too: an output layer beside tied embeddings, and biases that the config does not state."""
        shapes: Shapes = {"output.weight": (self.hp.integer("vocab_size"), self.hidden)}
        matrices: Shapes = {name: shape for name, shape in self.projections().items() if len(shape) == 2}
        biases = _biases(matrices, *(name.removesuffix(".weight") for name in matrices))
        for layer in range(self.layers):
            shapes |= {f"blk.{layer}.{name}": shape for name, shape in biases.items()}
        return shapes

    def computed_tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Tensors that no file holds, such as rope factors."""
        yield from ()

    def head_rows(self, name: str) -> int:
        """Rows of one attention head, if the halves of each head of this tensor must be interleaved; else 0."""
        return 0

    # --- what llama.cpp computes otherwise ----------------------------------------------------------------------------

    def notes(self) -> tuple[str, ...]:
        """How answers of the GGUF file differ from the original's whatever the converter, because of the engine.

        Held against src/llama-context.cpp and src/models/*.cpp of llama.cpp.
        """
        found = []
        window, context = self.sliding_window(), self.hp.values.get("max_position_embeddings")
        if window is not None and isinstance(context, int) and window < context:
            found.append(
                f"Each token of this model sees {window:,} tokens before it, with llama.cpp all of them: "
                f"texts of more than {window:,} tokens are understood differently."
            )
        stated, factor = self.hp.rope.get("attention_factor"), self.hp.rope.get("factor")
        if self.hp.rope_type == "yarn" and stated is not None and factor is not None:
            usual = 1 + 0.1 * math.log(max(1.0, self.hp.rope_number("factor")))  # YaRN, arXiv 2309.00071, section 3.4
            if not math.isclose(self.hp.rope_number("attention_factor"), usual, rel_tol=1e-3):
                found.append(f"llama.cpp computes with YaRN's usual attention factor, {usual:.4g}, not with {stated}.")
        return tuple(found)

    def sliding_window(self) -> int | None:
        """How many tokens each token sees at most; None for all."""
        return self.hp.integer("sliding_window") if self.windowed and self.hp.values.get("sliding_window") else None

    # --- metadata -----------------------------------------------------------------------------------------------------

    def write_early(self, writer: Any) -> None:
        """Keys that llama.cpp writes while it looks at tensors, before all others."""

    def write_parameters(self, writer: Any, file_type: int) -> None:
        """The architecture's own keys, in llama.cpp's order."""
        hp = self.hp
        writer.add_block_count(self.layers)
        writer.add_context_length(hp.integer("max_position_embeddings"))
        writer.add_embedding_length(self.hidden)
        writer.add_feed_forward_length(hp.integer("intermediate_size"))
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        if hp.values.get("is_causal") is False:
            writer.add_causal_attention(False)
        self._write_rope_scaling(writer)
        writer.add_rope_freq_base(hp.rope_number("rope_theta"))
        writer.add_layer_norm_rms_eps(hp.number("rms_norm_eps"))
        if (experts := hp.optional_integer("num_local_experts") or hp.optional_integer("num_experts")) is not None:
            writer.add_expert_count(experts)
        if (used := hp.optional_integer("num_experts_per_tok")) is not None:
            writer.add_expert_used_count(used)
        if (head_dim := hp.optional_integer("head_dim")) is not None:
            writer.add_key_length(head_dim)
            writer.add_value_length(head_dim)
        writer.add_file_type(file_type)

    def _write_rope_scaling(self, writer: Any) -> None:
        hp, kind = self.hp, self.hp.rope_type
        if kind not in self.rope_types:
            raise UnsupportedModel(
                f"Rope scaling {kind!r} is not understood.",
                f"The converter for {self.name} knows {', '.join(self.rope_types)}.",
                OTHER_CONVERTER,
            )
        if kind not in ("linear", "yarn"):
            return  # llama3 becomes a tensor; dynamic changes nothing within the stated context
        linear = kind == "linear"
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR if linear else gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(hp.rope_number("factor"))
        if linear:
            return
        writer.add_rope_scaling_orig_ctx_len(hp.rope_integer("original_max_position_embeddings"))
        attention = "attention_factor" if "attention_factor" in hp.rope else "attn_factor"
        for key, add in (
            ("extrapolation_factor", writer.add_rope_scaling_yarn_ext_factor),
            (attention, writer.add_rope_scaling_yarn_attn_factor),
            ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
            ("beta_slow", writer.add_rope_scaling_yarn_beta_slow),
        ):
            if hp.rope.get(key) is not None:
                add(hp.rope_number(key))


def _biases(shapes: Shapes, *names: str) -> Shapes:
    return {f"{name}.bias": shapes[f"{name}.weight"][:1] for name in names if f"{name}.weight" in shapes}
