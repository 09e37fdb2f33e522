"""From `LoadOptions` to what a session of this backend is set up with."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import DeviceNotFound, EngineMissing, NotEnoughMemory, UnsupportedFeature, UsageError
from pajamas.needs import load_features, refuse_missing
from pajamas.types import LoadOptions
from pajamas_vllm import engine
from pajamas_vllm.session import json_schema
from pajamas_vllm.session.features import FEATURES

if TYPE_CHECKING:
    from pajamas_vllm.session.facts import Facts

_COUNTS = ("context_length", "batch_size", "max_sequences", "threads", "tensor_parallel", "pipeline_parallel")
STARTERS = {"mp": "processes of this machine", "ray": "a Ray cluster, of several machines"}
"""What starts vLLM's workers, as vLLM spells it."""
COMPUTE_DTYPES = ("float32", "bfloat16", "float16")
DEFAULT_CONTEXT = 8192
DEFAULT_SEQUENCES = 8
MOST_SEQUENCES = 1024
"""Requests at once on a processor. On a GPU it is vLLM's own choice."""
BLOCK = 128
"""Tokens of a block of the key/value cache on a processor: vLLM's own choice there."""


@frozen(kw_only=True)
class Parameters:
    """Checked options."""

    device: str
    context_length: int
    kv_cache: int
    """Bytes, where they are set here; 0 where vLLM takes what the GPU has left."""
    arguments: Mapping[str, Any]
    """Of vLLM's AsyncEngineArgs."""
    environment: Mapping[str, str]
    """That the engine's processes start in."""
    executor: str | None
    """What runs the workers, where vLLM's own choice is not taken."""


def resolve(options: LoadOptions, facts: Facts) -> Parameters:
    """Check the options against this machine and fill what they leave open.

    Raises:
        UsageError: a number or a type that makes no sense.
        UnsupportedFeature: an option that vLLM has not; each is named.
        DeviceNotFound: the device is not here.
        EngineMissing: Ray is asked for, and not installed.
        NotEnoughMemory: weights and key/value cache are more than the machine could ever hold.
    """
    device = _device(options.device)
    refuse_missing("vllm", load_features(options), FEATURES)
    lacking = [name for name in ("flash_attention",) if getattr(options, name) is not None]
    lacking += ["gpu_layers"] if options.gpu_layers == 0 and device != "cpu" else []
    lacking += ["threads"] if options.threads is not None and device != "cpu" else []
    if lacking:
        raise UnsupportedFeature(
            f"Backend 'vllm' does not support {', '.join(lacking)}.",
            "vLLM chooses its attention itself, and computes all layers on one kind of device.",
            "Leave the option out.",
        )
    for name in _COUNTS:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} {value} makes no sense.", "It must be at least 1.", "")
    if (options.max_sequences or 0) > MOST_SEQUENCES:
        raise UsageError(f"{options.max_sequences} sequences are too many.", f"There may be {MOST_SEQUENCES}.", "")
    if options.batch_size is not None and options.batch_size < (options.max_sequences or 1):
        raise UsageError(
            f"{options.max_sequences} sequences are too many for a batch_size of {options.batch_size}.",
            "A step computes at least one token of each.",
            "Ask for fewer sequences, or more tokens in one step.",
        )
    if options.compute_dtype not in (None, *COMPUTE_DTYPES):
        raise UsageError(
            f"vLLM does not compute in {options.compute_dtype!r}.", "", f"Choose one of {', '.join(COMPUTE_DTYPES)}."
        )
    _check_distributed(options.distributed)
    context = _context(options, facts)
    dtype = options.compute_dtype or "auto"
    arguments: dict[str, Any] = {
        "model": str(facts.folder.resolve()),
        "dtype": dtype,
        "max_model_len": context + 1,
        "max_logprobs": -1,
        "generation_config": "vllm",  # core fills the sampling from the model's own recommendations
        "trust_remote_code": False,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "structured_outputs_config": {"backend": json_schema.BACKEND},
        "tensor_parallel_size": options.tensor_parallel or 1,
        "pipeline_parallel_size": options.pipeline_parallel or 1,
        "distributed_executor_backend": options.distributed,
        "worker_extension_cls": "pajamas_vllm.session.worker.Extension",
        "enforce_eager": device == "cpu",  # compiling takes longer there than it ever saves most people
    }
    if options.batch_size is not None:
        arguments["max_num_batched_tokens"] = options.batch_size
    if not options.mmap:
        arguments["safetensors_load_strategy"] = "eager"
    if options.max_sequences is not None:
        arguments["max_num_seqs"] = options.max_sequences
    environment, executor, cache = {}, None, 0
    if device == "cpu":
        arguments.setdefault("max_num_seqs", min(DEFAULT_SEQUENCES, options.batch_size or DEFAULT_SEQUENCES))
        cache = _cache(facts, context, options.max_sequences or 2, dtype)
        check_memory(facts.size, cache, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        if cache:
            arguments["kv_cache_memory_bytes"] = cache
        threads = options.threads or len(os.sched_getaffinity(0))
        # vLLM would bind its threads to processors that others may use too, and leave one processor idle.
        environment = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(threads)}
        alone = (
            options.distributed is None and arguments["tensor_parallel_size"] * arguments["pipeline_parallel_size"] == 1
        )
        # vLLM would start one more process, for a binding of threads that is switched off.
        executor = "uni" if alone else None
    return Parameters(
        device=device,
        context_length=context,
        kv_cache=cache,
        arguments=arguments,
        environment=environment,
        executor=executor,
    )


def check_memory(weights: int, cache: int, there: int) -> None:
    """Raises NotEnoughMemory, with the figures, if the bytes of weights and key/value cache are more than there are."""
    if weights + cache > there:
        raise NotEnoughMemory(
            "The model does not fit this machine's memory with so much context.",
            f"Its weights take {weights / 1e9:.1f} GB, the context {cache / 1e9:.1f} GB, and there are "
            f"{there / 1e9:.1f} GB.",
            "Ask for a shorter context or fewer sequences, or use a smaller model.",
        )


def _check_distributed(starter: str | None) -> None:
    if starter is not None and starter not in STARTERS:
        known = " and ".join(f"{name} ({what})" for name, what in STARTERS.items())
        raise UsageError(f"vLLM's processes cannot be started by {starter!r}.", f"Known are {known}.", "")
    if starter == "ray" and importlib.util.find_spec("ray") is None:
        raise EngineMissing(
            "Several machines need Ray.", "It is not installed beside vLLM.", "In vLLM's environment: pip install ray"
        )


def _device(wanted: str | None) -> str:
    here = engine.device()
    if wanted is not None and wanted != here:
        raise DeviceNotFound(
            f"There is no {wanted} device for vLLM here.",
            f"This vLLM is built for {here}.",
            "Another build needs another environment: pajamas env create vllm",
        )
    return here


def _context(options: LoadOptions, facts: Facts) -> int:
    trained = facts.trained_context
    if options.context_length is None:
        return min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    if trained and options.context_length > trained:
        raise UsageError(
            f"A context of {options.context_length:,} tokens is too long for vLLM.",
            f"The model's config.json has {trained:,} positions, and vLLM prepares no others.",
            "Ask for less, or set rope_scaling and max_position_embeddings in its config.json.",
        )
    return options.context_length


def _cache(facts: Facts, context: int, sequences: int, dtype: str) -> int:
    """Bytes of the key/value cache of so many full contexts: 2 x layers x KV heads x head size x tokens x bytes each.

    0 where the config leaves it open: vLLM then takes a share of the memory.
    """
    shape = facts.architecture
    if shape.attention_type not in ("mha", "gqa", "mqa"):
        return 0
    width = 4 if "float32" in (dtype, shape.dtype if dtype == "auto" else None) else 2
    blocks = -(-(context + 1) // BLOCK) * sequences + 1  # vLLM keeps one block for itself
    return 2 * (shape.num_layers or 0) * (shape.num_kv_heads or 0) * (shape.head_dim or 0) * blocks * BLOCK * width
