"""The records that hooks take and return: frozen, and free of any engine.

Units are in the names or the docstrings: sizes are bytes, times are seconds, contexts are tokens.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import field, frozen

from pajamas.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas.modelfiles import ModelFiles
    from pajamas.source import Source

Message = Mapping[str, Any]
"""One chat message in OpenAI's form: role, content, and where they apply tool_calls, tool_call_id, reasoning_content."""

Mode = Literal["thinking", "non-thinking"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


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
    max_sequences: int = 1
    kv_type: str | None = None
    flash_attention: bool | None = None
    mmap: bool = True
    embeddings: bool = False
    """Load for `embed` instead of `generate`."""


@frozen(kw_only=True)
class Sampling:
    """Sampling options; None means "not set": core fills it from the request's mode and the model's own defaults."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int, float] = field(factory=dict)
    """Token id to a number added to its logit; -inf forbids the token."""
    seed: int | None = None


@frozen(kw_only=True)
class GenerateRequest:
    """One answer to one prompt. Exactly one of `prompt`, `messages` and `token_ids` is given by the caller.

    A backend sees `prompt` (rendered: special tokens in it are meant as tokens) or `token_ids`; core has turned
    `messages`, `tools` and `mode` into the prompt before.
    """

    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    mode: Mode | None = None
    raw: bool = False
    """Send `prompt` as it is, though the model has a chat template."""
    template_variables: Mapping[str, Any] = field(factory=dict)
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """None: until the model ends, or the context is full."""
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    """How many alternatives to report for each token; 0 reports the chosen one only."""
    json_schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    """GBNF."""
    cache_prompt: bool = True
    """Reuse what the session has computed for an equal beginning."""


@frozen(kw_only=True)
class TokenLogprob:
    token_id: int
    token: str
    bytes: bytes
    logprob: float
    """Natural logarithm of the probability in the model's own distribution, before any sampling option."""
    top: tuple[TokenLogprob, ...] = ()


@frozen(kw_only=True)
class ToolCall:
    id: str
    name: str
    arguments: str
    """JSON text, as OpenAI's API carries it."""


@frozen(kw_only=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens that were not computed again."""
    prompt_seconds: float = 0.0
    generation_seconds: float = 0.0
    """From the first token to the last."""
    time_to_first_token: float = 0.0

    @property
    def prompt_tokens_per_second(self) -> float:
        return (self.prompt_tokens - self.cached_tokens) / self.prompt_seconds if self.prompt_seconds else 0.0

    @property
    def generation_tokens_per_second(self) -> float:
        return (self.completion_tokens - 1) / self.generation_seconds if self.generation_seconds else 0.0


@frozen(kw_only=True)
class Chunk:
    """A piece of an answer. Backends fill `text`; core's parser moves reasoning and tool calls out of it."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@frozen(kw_only=True)
class MemoryUse:
    """Bytes, as the engine reports them."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute


class Session(Protocol):
    """A loaded model. One session serves one caller at a time unless it declares `Feature.PARALLEL`."""

    @property
    def backend(self) -> str: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def context_length(self) -> int: ...
    @property
    def features(self) -> frozenset[Feature]: ...
    @property
    def memory(self) -> MemoryUse: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Texts of the tokens that templates name: "bos_token", "eos_token", "pad_token", "unk_token"."""
        ...

    @property
    def default_sampling(self) -> Sampling:
        """What the model's own files recommend (generation_config, GGUF `general.sampling.*`); empty if nothing."""
        ...

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]: ...
    def detokenize(self, token_ids: list[int]) -> str: ...
    def generate(self, request: GenerateRequest) -> Iterator[Chunk]:
        """A lazy stream of raw text; closing it early frees the session at once.

        Raises:
            ContextOverflow: the prompt does not fit the context; nothing was computed.
            UnsupportedFeature: the request needs what `features` lacks.
        """
        ...

    def score(self, token_ids: list[int], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Blocks of next-token log-probabilities for positions `first` on: float32, [rows, n_vocab], normalised."""
        ...

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """One unit vector a text, [len(texts), size], pooled as the model's metadata says."""
        ...

    def save_prompt_cache(self, path: Path) -> None: ...
    def load_prompt_cache(self, path: Path) -> int:
        """Restore what `save_prompt_cache` wrote; how many tokens that is."""
        ...

    def close(self) -> None: ...


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
