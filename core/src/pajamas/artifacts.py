"""What a model is, and what a backend makes of it and loads. Sizes are bytes, contexts are tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen


@frozen(kw_only=True)
class Architecture:
    """What a model is, read from its headers alone. None means that no file states it."""

    model_type: str
    """As the config or the GGUF header spells it: "qwen3", "llama"."""
    family: str
    """As people write it: "Qwen3", "Llama"."""
    num_layers: int | None = None
    """Decoder blocks."""
    hidden_size: int | None = None
    """Width of the residual stream."""
    intermediate_size: int | None = None
    """Width of the feed-forward part."""
    num_heads: int | None = None
    """Query heads."""
    num_kv_heads: int | None = None
    """Key/value heads."""
    head_dim: int | None = None
    """Width of one head."""
    attention_type: Literal["mha", "gqa", "mqa", "mla"] | None = None
    """Multi-head, grouped-query, multi-query or latent attention."""
    vocab_size: int | None = None
    """Rows of the token embedding."""
    tied_embeddings: bool | None = None
    """Whether the output layer is the token embedding."""
    context_length: int | None = None
    """Tokens, as the config or the GGUF header states it."""
    native_context_length: int | None = None
    """Tokens the model was trained for without rope extension, where stated."""
    extended_context_length: int | None = None
    """Tokens with rope extension, where stated."""
    context_source: str = "config"
    """Where native and extended lengths come from: "config", "model card", or "not stated"."""
    rope_scaling: str | None = None
    """"yarn", "llama3", "longrope", "linear" ... or None."""
    sliding_window: int | None = None
    """Tokens that a layer with a sliding window looks back."""
    num_experts: int | None = None
    """Routed experts of a layer; None for a dense model."""
    num_active_experts: int | None = None
    """Routed experts that one token takes."""
    expert_intermediate_size: int | None = None
    """Of one routed expert, where it differs from `intermediate_size`."""
    parameters: int | None = None
    """Exact, from tensor shapes: a tied output layer counts once."""
    non_embedding_parameters: int | None = None
    """Without the token embedding and the output layer."""
    active_parameters: int | None = None
    """Parameters that one token touches; equal to `parameters` for a dense model."""
    dtype: str | None = None
    """Of most weights: "bfloat16", "float16", "float32", or a GGUF scheme such as "Q4_K_M"."""
    convertible: bool = False
    """Whether this architecture is one that pajamas' own GGUF converter knows."""


@frozen(kw_only=True)
class TensorInfo:
    """One tensor of an artifact, in the artifact's own naming; shape in row-major (numpy) order."""

    name: str
    """In the artifact's own naming."""
    shape: tuple[int, ...]
    """Row-major (numpy) order."""
    type: str
    """As the engine spells it: "Q4_K", "F32", "bfloat16"."""
    size: int
    """Bytes."""
    wanted: str | None = None
    """The type that the scheme asked for, where the tensor's width did not allow it and `type` was used instead."""


@frozen(kw_only=True)
class Artifact:
    """What a backend loads, or (from a dry run) what it would load."""

    path: Path
    """The file, or the folder."""
    format: str
    """"gguf", "mlx", "safetensors", or one that a backend declares."""
    scheme: str | None = None
    """As the backend spells it; None for a file that does not tell."""
    size: int = 0
    """Bytes on disk of the weights: the file, or all of a folder's weight files."""
    parameters: int | None = None
    """Exact, from tensor shapes."""
    bits_per_weight: float | None = None
    """8 x size / parameters."""
    tensors: tuple[TensorInfo, ...] = ()
    """Every tensor, where the backend has read them."""
    memory: Mapping[int, int] = field(factory=dict)
    """Context length to predicted bytes of memory for weights, KV cache and compute buffers."""
    architecture: Architecture | None = None
    """From the headers."""
    notes: tuple[str, ...] = ()
    """Things a person should know, such as tensors that could not take the scheme's type."""
    details: Mapping[str, Any] = field(factory=dict)
    """For the receipt: engine and converter versions, tokenizer and template digests, the intermediate's dtype."""
