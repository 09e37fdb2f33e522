"""The records that hooks take and return: frozen, and free of any engine. Those of requests, answers and sessions too.

Units are in the names or the docstrings: sizes are bytes, times are seconds, contexts are tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from pajamas.answers import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from pajamas.features import Feature
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.requests import GenerateRequest, Message, Mode, Sampling
from pajamas.session import MemoryUse, Session

if TYPE_CHECKING:
    from pajamas.model_texts import ModelText
    from pajamas.modelfiles import ModelFiles
    from pajamas.source import Source

__all__ = [
    "Architecture", "Artifact", "BackendInfo", "Chunk", "Feature", "Finding", "FinishReason", "GenerateRequest",
    "LoadOptions", "MemoryUse", "Message", "Mode", "QuantizeJob", "Sampling", "Session", "TensorInfo", "TokenLogprob",
    "ToolCall", "Usage", "ValidateJob",
]  # fmt: skip


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


@frozen(kw_only=True)
class BackendInfo:
    """What a backend can do, and whether it can do it here."""

    name: str
    """The entry point's name: what follows `--backend`."""
    engine: str
    """The library underneath, as people call it."""
    engine_version: str | None
    """None where the engine is not installed, or has no version."""
    formats: tuple[str, ...]
    """Of the artifacts that it loads and makes."""
    schemes: tuple[str, ...]
    """What `quantize` makes, as it spells them; empty if it makes none."""
    features: frozenset[Feature]
    """What it honours. The conformance kit tests each of them, and that every other is refused."""
    devices: tuple[str, ...] = ("cpu",)
    """Device words that work on this machine, best first: "cuda", "metal", "cpu"."""
    unavailable: str | None = None
    """Why it cannot run here, or None if it can."""
    fix: str = ""
    """What a person can do about `unavailable`, such as a pip command."""
    notes: tuple[str, ...] = ()
    """Said by `doctor`: fallbacks that are in force and why."""
    scheme_aliases: Mapping[str, str] = field(factory=dict)
    """Other names that the engine's users know, each with the one of `schemes` that it means; case does not count."""
    refused_schemes: Mapping[str, str] = field(factory=dict)
    """Schemes that the engine's users know and this backend cannot make, each with the reason in one line."""
    calibrated_schemes: frozenset[str] = frozenset()
    """Those of `schemes` that are made only with a calibration or an importance matrix."""
    profile_schemes: Mapping[str, Mapping[str, str]] = field(factory=dict)
    """Format to the scheme of each profile ("balanced", "ultra", "hq") that it has, for formats of its own."""
    quantize_options: frozenset[str] = frozenset()
    """Fields of `QuantizeJob` beyond the scheme that `quantize` honours, from `quantize_options.FLAGS`. Core refuses
    the others by name."""
    file_suffixes: Mapping[str, str] = field(factory=dict)
    """Suffix (with its dot) to format: a file that ends so is an artifact of it, and `convert` names its output so."""
    folder_markers: Mapping[str, str] = field(factory=dict)
    """File name to format: a folder that holds such a file is an artifact of that format."""


@frozen(kw_only=True)
class QuantizeJob:
    """One source model into one artifact of one scheme."""

    files: ModelFiles
    """The source's files, here or on the Hub."""
    source: Source
    """What the person named, parsed."""
    architecture: Architecture
    """Of the source."""
    format: str
    """One of the backend's own."""
    scheme: str
    """As the backend spells it: "Q4_K_M", "BF16", "4bit"."""
    output: Path
    """The artifact's final path: a file for gguf, a folder for mlx. Nothing stands there until it is complete."""
    name: str
    """The model's name, for file names and metadata."""
    force: bool = False
    """Replace what stands at `output`. Without it an existing target is `TargetExists`."""
    dry_run: bool = False
    """Write nothing; return the artifact that would be."""
    contexts: tuple[int, ...] = (4096, 8192, 32768)
    """Context lengths whose memory a dry run predicts."""
    threads: int | None = None
    """Of the quantizer; None is the backend's choice."""
    outtype: str | None = None
    """dtype of the 16-bit intermediate: "bf16", "f16", "f32"; None keeps the source's."""
    tensor_types: tuple[tuple[str, str], ...] = ()
    """(regex over tensor names, type) overrides; the first that matches wins."""
    embedding_type: str | None = None
    """Type of the token embedding; None is the scheme's."""
    output_type: str | None = None
    """Type of the output layer; None is the scheme's."""
    aggressive: bool = False
    """The format's smallest uniform recipe, where it has one."""
    keep_16bit: bool = False
    """Keep the 16-bit intermediate beside the result."""
    converter: str | None = None
    """None for pajamas' own, "llama.cpp" for llama.cpp's."""
    calibration_samples: int | None = None
    """Weight the quantization by what the model does with at most so many samples of a calibration text."""
    calibration_text: Path | None = None
    """The text: .jsonl with a conversation a line, or plain text. None is the model's own, beside its config.json."""
    imatrix: Path | None = None
    """A ready importance matrix, in place of a calibration."""
    keep_imatrix: bool = False
    """Keep the importance matrix beside the result."""
    mixed_precision: bool = False
    """The format's recipe of two precisions, exactly: nothing is raised by measurement."""
    embedding_bits: int | None = None
    """Bits of the token embedding and the output layer."""
    group_size: int | None = None
    """Weights that share a scale."""
    target_bpw: float | None = None
    """Bits per weight up to which sensitive layers are raised."""
    progress: Progress = NO_PROGRESS
    """What is told how far the work is."""


@frozen(kw_only=True)
class LoadOptions:
    """How a session is set up. None lets the backend choose the best for this machine."""

    device: str | None = None
    """"cuda", "metal" or "cpu": where the layers run. One that is not here is an error, never a fallback."""
    context_length: int | None = None
    """Tokens. None: what the model was trained for, within reason."""
    gpu_layers: int | None = None
    """How many layers run on the GPU; needs `Feature.GPU_LAYERS` above 0."""
    threads: int | None = None
    """That compute."""
    batch_size: int | None = None
    """Tokens of a prompt that are computed together."""
    max_sequences: int | None = None
    """Requests that are answered at once where the session declares `Feature.PARALLEL`, each with `context_length`
    tokens of its own. None: some, who share the memory of one."""
    kv_type: str | None = None
    """Type of the key/value cache, as the engine spells it; needs `Feature.KV_TYPE`."""
    compute_dtype: str | None = None
    """Type that weights are cast to and computed in: "float32", "bfloat16" or "float16"; None is the engine's choice.
    Needs `Feature.COMPUTE_DTYPE`."""
    flash_attention: bool | None = None
    """On, off, or the engine's choice."""
    mmap: bool = True
    """Map the weights into memory instead of reading them."""
    embeddings: bool = False
    """Load for `embed` instead of `generate`."""


@frozen(kw_only=True)
class ValidateJob:
    """A candidate against its original, both loaded."""

    candidate: Session
    """What is measured."""
    original: Session | None
    """What it was made from; None measures the candidate alone."""
    metrics: tuple[str, ...]
    """Those that were asked for; answer for the ones that you offer."""
    all_metrics: bool = False
    """Nobody named metrics, so these are all: pass over one of yours that cannot be measured here. Else refuse it."""
    text: str | None = None
    """The text to measure on; None is the metric's own."""
    text_name: str = ""
    """The file that `text` comes from; empty if it is none."""
    model_text: ModelText | None = None
    """What the model itself brings along to be judged by, for when no other text is asked for."""
    options: Mapping[str, Any] = field(factory=dict)
    """Further settings, by name."""
    candidate_artifact: Artifact | None = None
    """The file or folder that was loaded; None where a caller brought a session of its own."""
    original_artifact: Artifact | None = None
    """As above, of the original."""
    progress: Progress = NO_PROGRESS
    """What is told how far the work is."""


@frozen(kw_only=True)
class Finding:
    """One measured value."""

    metric: str
    """A name that `validation_metrics` offers, or that of a part of such a metric: "perplexity-increase"."""
    value: float
    """What was measured."""
    error: float | None = None
    """Standard error, where there is one."""
    unit: str = ""
    """Of `value`: "%", "nats", "tokens/s"."""
    details: Mapping[str, Any] = field(factory=dict)
    """Whatever else a report may show, as JSON values."""
