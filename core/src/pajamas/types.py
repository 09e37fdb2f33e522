"""The records that hooks take and return: frozen, and free of any engine. Those of requests, answers and sessions too.

Units are in the names or the docstrings: sizes are bytes, times are seconds, contexts are tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from pajamas.answers import Chunk, FinishReason, TokenLogprob, ToolCall, Usage
from pajamas.artifacts import Architecture, Artifact, TensorInfo
from pajamas.environments.declaration import Environment
from pajamas.features import Feature
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.requests import GenerateRequest, Message, Mode, Sampling
from pajamas.session import MemoryUse, Session
from pajamas.validation import Finding, ReportJob, ValidateJob, ValidationPlan

if TYPE_CHECKING:
    from pajamas.modelfiles import ModelFiles
    from pajamas.source import Source

__all__ = [
    "Architecture", "Artifact", "BackendInfo", "Chunk", "Environment", "Feature", "Finding", "FinishReason",
    "GenerateRequest", "LoadOptions", "MemoryUse", "Message", "Mode", "QuantizeJob", "ReportJob", "Sampling",
    "Session", "TensorInfo", "TokenLogprob", "ToolCall", "Usage", "ValidateJob", "ValidationPlan",
]  # fmt: skip


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
    named_formats: frozenset[str] = frozenset()
    """Those of `formats` for which it is chosen only by its name: right, but slower here than people expect who name no
    backend."""
    quantize_options: frozenset[str] = frozenset()
    """Fields of `QuantizeJob` beyond the scheme that `quantize` honours, from `quantize_options.FLAGS`. Core refuses
    the others by name."""
    file_suffixes: Mapping[str, str] = field(factory=dict)
    """Suffix (with its dot) to format: a file that ends so is an artifact of it, and `convert` names its output so."""
    folder_markers: Mapping[str, str] = field(factory=dict)
    """File name to format: a folder that holds such a file is an artifact of that format."""
    environment: Environment | None = None
    """Where sessions live if the engine cannot be imported here: in a worker of this environment's Python, and `load`
    is called there. None: the engine is here or nowhere."""
    quantize_environment: Environment | None = None
    """Of what `quantize` needs; it is called here, and finds the Python by `environments.finding.interpreter`."""
    python: Path | None = None
    """The interpreter that sessions live with. Core sets it, once `environment` was found; None is this one."""


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
    max_increase: float | None = None
    """Largest perplexity increase, in per cent, that will be accepted of it; None is not judged. A recipe that can take
    more or fewer bits takes the fewest that are enough."""
    max_divergence: float | None = None
    """Likewise the largest mean KL divergence from the original, in nats."""
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
    tensor_parallel: int | None = None
    """Devices that share each layer; above 1 it needs `Feature.DISTRIBUTED`, as the next two do."""
    pipeline_parallel: int | None = None
    """Groups of devices that the layers are dealt to."""
    distributed: str | None = None
    """What starts the engine's processes, as the engine spells it: "ray" for those on several machines."""
