"""The records that hooks take and return: frozen, and free of any engine. Those of requests, answers and sessions too.

Units are in the names or the docstrings: sizes are bytes, times are seconds, contexts are tokens.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from pajamas.answers import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.requests import GenerateRequest, Message, Mode, Sampling
from pajamas.session import MemoryUse, Session

if TYPE_CHECKING:
    from pajamas.modelfiles import ModelFiles
    from pajamas.source import Source

__all__ = [
    "Architecture",
    "Artifact",
    "BackendInfo",
    "Chunk",
    "Feature",
    "Finding",
    "FinishReason",
    "GenerateRequest",
    "LoadOptions",
    "MemoryUse",
    "Message",
    "Mode",
    "QuantizeJob",
    "Sampling",
    "Session",
    "TensorInfo",
    "TokenLogprob",
    "ToolCall",
    "Usage",
    "ValidateJob",
]  # fmt: skip


class Feature(enum.StrEnum):
    """What a request may need and a backend may declare. A value is the option's name in messages to people."""

    STREAM = "stream"
    SEED = "seed"
    TOP_K = "top-k"
    MIN_P = "min-p"
    TYPICAL_P = "typical-p"
    REPETITION_PENALTY = "repetition-penalty"
    PRESENCE_PENALTY = "presence-penalty"
    FREQUENCY_PENALTY = "frequency-penalty"
    LOGIT_BIAS = "logit-bias"
    IGNORE_EOS = "ignore-eos"
    LOGPROBS = "logprobs"
    JSON_SCHEMA = "json-schema"
    GRAMMAR = "grammar"
    TOOLS = "tools"
    THINKING = "thinking"
    SCORE = "score"
    PARALLEL = "parallel"
    EMBEDDINGS = "embeddings"
    PROMPT_CACHE = "prompt-cache"
    KV_TYPE = "kv-type"
    GPU_LAYERS = "gpu-layers"


@frozen(kw_only=True)
class Architecture:
    """What a model is, read from its headers alone. None means that no file states it."""

    model_type: str
    family: str
    num_layers: int | None
    hidden_size: int | None
    intermediate_size: int | None
    num_heads: int | None
    num_kv_heads: int | None
    head_dim: int | None
    attention_type: Literal["mha", "gqa", "mqa", "mla"] | None
    vocab_size: int | None
    tied_embeddings: bool | None
    context_length: int | None
    """Tokens, as the config or the GGUF header states it."""
    native_context_length: int | None = None
    """Tokens the model was trained for without rope extension, where stated."""
    extended_context_length: int | None = None
    context_source: str = "config"
    """Where native and extended lengths come from: "config", "model card", or "not stated"."""
    rope_scaling: str | None = None
    """"yarn", "llama3", "longrope", "linear" ... or None."""
    sliding_window: int | None = None
    num_experts: int | None = None
    num_active_experts: int | None = None
    expert_intermediate_size: int | None = None
    """Of one routed expert, where it differs from `intermediate_size`."""
    parameters: int | None = None
    """Exact, from tensor shapes: a tied output layer counts once."""
    non_embedding_parameters: int | None = None
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
    shape: tuple[int, ...]
    type: str
    size: int
    wanted: str | None = None
    """The type that the scheme asked for, where the tensor's width did not allow it and `type` was used instead."""


@frozen(kw_only=True)
class Artifact:
    """What a backend loads, or (from a dry run) what it would load."""

    path: Path
    format: str
    scheme: str | None = None
    size: int = 0
    """Bytes on disk of the weights: the file, or all of a folder's weight files."""
    parameters: int | None = None
    bits_per_weight: float | None = None
    tensors: tuple[TensorInfo, ...] = ()
    memory: Mapping[int, int] = field(factory=dict)
    """Context length to predicted bytes of memory for weights, KV cache and compute buffers."""
    architecture: Architecture | None = None
    notes: tuple[str, ...] = ()
    """Things a person should know, such as tensors that could not take the scheme's type."""
    details: Mapping[str, Any] = field(factory=dict)
    """For the receipt: engine and converter versions, tokenizer and template digests, the intermediate's dtype."""


@frozen(kw_only=True)
class BackendInfo:
    """What a backend can do, and whether it can do it here."""

    name: str
    engine: str
    engine_version: str | None
    formats: tuple[str, ...]
    schemes: tuple[str, ...]
    features: frozenset[Feature]
    devices: tuple[str, ...] = ("cpu",)
    """Device words that work on this machine, best first: "cuda", "metal", "cpu"."""
    unavailable: str | None = None
    """Why it cannot run here, or None if it can."""
    fix: str = ""
    notes: tuple[str, ...] = ()
    """Said by `doctor`: fallbacks that are in force and why."""
    scheme_aliases: Mapping[str, str] = field(factory=dict)
    """Other names that the engine's users know, each with the one of `schemes` that it means; case does not count."""


@frozen(kw_only=True)
class QuantizeJob:
    """One source model into one artifact of one scheme."""

    files: ModelFiles
    source: Source
    architecture: Architecture
    format: str
    scheme: str
    """As the backend spells it: "Q4_K_M", "BF16", "4bit"."""
    output: Path
    """The artifact's final path: a file for gguf, a folder for mlx. Nothing stands there until it is complete."""
    name: str
    """The model's name, for file names and metadata."""
    force: bool = False
    dry_run: bool = False
    contexts: tuple[int, ...] = (4096, 8192, 32768)
    """Context lengths whose memory a dry run predicts."""
    threads: int | None = None
    outtype: str | None = None
    """dtype of the 16-bit intermediate: "bf16", "f16", "f32"; None keeps the source's."""
    tensor_types: tuple[tuple[str, str], ...] = ()
    """(regex over tensor names, type) overrides; the first that matches wins."""
    embedding_type: str | None = None
    output_type: str | None = None
    aggressive: bool = False
    keep_16bit: bool = False
    converter: str | None = None
    """None for pajamas' own, "llama.cpp" for llama.cpp's."""
    progress: Progress = NO_PROGRESS


@frozen(kw_only=True)
class LoadOptions:
    """How a session is set up. None lets the backend choose the best for this machine."""

    device: str | None = None
    """"cuda", "metal" or "cpu": where the layers run. One that is not here is an error, never a fallback."""
    context_length: int | None = None
    gpu_layers: int | None = None
    threads: int | None = None
    batch_size: int | None = None
    """Tokens of a prompt that are computed together."""
    max_sequences: int = 1
    """Sequences that the key/value cache has room for, each with `context_length` tokens of its own. A session still
    answers one request at a time unless it declares `Feature.PARALLEL`: more of them only take memory."""
    kv_type: str | None = None
    flash_attention: bool | None = None
    mmap: bool = True
    embeddings: bool = False
    """Load for `embed` instead of `generate`."""


@frozen(kw_only=True)
class ValidateJob:
    """A candidate against its original, both loaded."""

    candidate: Session
    original: Session | None
    metrics: tuple[str, ...]
    text: str | None = None
    options: Mapping[str, Any] = field(factory=dict)
    progress: Progress = NO_PROGRESS


@frozen(kw_only=True)
class Finding:
    """One measured value."""

    metric: str
    value: float
    error: float | None = None
    """Standard error, where there is one."""
    unit: str = ""
    details: Mapping[str, Any] = field(factory=dict)
