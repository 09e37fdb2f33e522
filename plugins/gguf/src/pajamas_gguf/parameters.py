"""From `LoadOptions` to the engine's parameter structs: the same in a session, in its check-up and in a prediction."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from pajamas.errors import DeviceNotFound, UnsupportedFeature, UsageError
from pajamas.needs import load_features, refuse_missing
from pajamas.types import Feature, LoadOptions
from pajamas_gguf import devices, engine
from pajamas_gguf.cores import MAX_THREADS, usable_cores
from pajamas_gguf.session.features import EMBEDDING, GENERATING

KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2, "iq4_nl": 20}
"""Names of key/value cache types and their numbers in ggml."""
DEFAULT_CONTEXT = 8192
DEFAULT_EMBEDDING_CONTEXT = 2048
DEFAULT_SEQUENCES = 8
"""Beyond eight the engine gains little on a CPU, and models whose state is a part of each sequence pay for them all."""

_SIXTEEN_BIT_OR_MORE = ("f32", "f16", "bf16")
_BATCH = 2048
_COMPUTED_AT_ONCE = 512
_MAX_SEQUENCES = 256  # LLAMA_MAX_SEQ
_MAX_CELLS = 1 << 24  # beyond it the engine needs minutes before it finds that the memory is not there
_AUTO = -1
_LOAD_READ, _LOAD_MMAP = 0, 1


@frozen(kw_only=True)
class Parameters:
    """Checked options. `context_length` is what one sequence may use, in tokens."""

    gpus: tuple[devices.Device, ...]
    gpu_layers: int
    """-1 is all layers."""
    extra_buffers: bool
    """Repack weights for this CPU's matrix units."""
    mmap: bool
    context_length: int
    sequences: int
    cells: int
    """Tokens that all sequences together have room for."""
    batch_size: int
    threads: int
    kv_type: str
    flash_attention: bool | None
    embeddings: bool

    def for_model(self, *, dry: bool = False) -> tuple[Any, Any]:
        """`llama_model_params`, and what must be kept while the model lives. `dry`: read headers, allocate nothing."""
        handles = devices.device_list(self.gpus)
        params = engine.library().llama_model_default_params()
        params.devices = engine.pointer(handles)
        params.n_gpu_layers = self.gpu_layers if self.gpus else 0
        params.use_extra_bufts = self.extra_buffers
        params.load_mode = _LOAD_MMAP if self.mmap and not dry else _LOAD_READ
        params.no_alloc = dry
        return params, handles

    def for_session(self) -> Any:
        """`llama_context_params` of the context that a session makes first."""
        return self.for_one(1) if self.embeddings else self.for_many()

    def for_one(self, outputs: int) -> Any:
        """For one sequence and at most `outputs` rows of logits at once."""
        return self._for_context(self.context_length, 1, outputs)

    def for_many(self) -> Any:
        """For all sequences in one cache: what they have in common takes room once, and what one needs all may use."""
        params = self._for_context(self.cells, self.sequences, self.sequences)
        params.kv_unified = self.sequences > 1
        params.n_batch = max(self.batch_size, self.sequences)
        return params

    def for_separate(self, outputs: int) -> Any:
        """For all sequences, each in a cache of its own: faster where they share nothing and are equally long."""
        return self._for_context(self.cells, self.sequences, outputs)

    def _for_context(self, cells: int, sequences: int, outputs: int) -> Any:
        params = engine.library().llama_context_default_params()
        params.n_ctx = cells
        params.n_seq_max = sequences
        params.n_batch = self.batch_size
        # A pooled text must be computed in one piece.
        params.n_ubatch = self.batch_size if self.embeddings else min(self.batch_size, _COMPUTED_AT_ONCE)
        # The compute buffer has room for this many rows of the whole vocabulary: 300 MB at the engine's default.
        params.n_outputs_max = self.batch_size if self.embeddings else max(outputs, sequences)
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = _AUTO if self.flash_attention is None else int(self.flash_attention)
        params.type_k = params.type_v = KV_TYPES[self.kv_type]
        params.embeddings = self.embeddings
        params.offload_kqv = params.op_offload = bool(self.gpus)
        # Layers with a sliding window keep only their window. A prompt that goes back behind it is computed anew.
        params.swa_full = False
        return params


def resolve(options: LoadOptions, trained_context: int, *, extra_buffers: bool) -> Parameters:
    """Check the options against this machine and fill what they leave open.

    :param trained_context: tokens, from the file's header; without a length asked, a session takes this, but at most
        8192 (2048 for embeddings), because the key/value cache is allocated at once.

    Raises:
        UsageError: a number that makes no sense.
        UnsupportedFeature: an option whose feature the backend lacks; a key/value type that does not exist,
            or a quantized one without flash attention; a batch size for embeddings.
        DeviceNotFound: the device is not here, or GPU layers without a GPU.
    """
    for name in ("context_length", "threads", "batch_size", "max_sequences"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"{name.replace('_', ' ')} {value} makes no sense.", "It must be at least 1.", "")
    if (options.threads or 0) > MAX_THREADS:
        raise UsageError(f"{options.threads} threads are too many.", f"llama.cpp allows {MAX_THREADS}.", "")
    if (options.max_sequences or 0) > _MAX_SEQUENCES:
        raise UsageError(f"{options.max_sequences} sequences are too many.", f"llama.cpp allows {_MAX_SEQUENCES}.", "")
    if options.embeddings and options.batch_size is not None:
        raise UnsupportedFeature(
            "A batch size cannot be set for embeddings.",
            "A text is pooled over all its tokens, so they are computed together.",
            "Leave out batch_size; context_length is the longest text.",
        )
    # Layers on a GPU are refused below, where it is known whether there is one.
    refuse_missing("gguf", load_features(options) - {Feature.GPU_LAYERS}, GENERATING | EMBEDDING)
    kv_type = (options.kv_type or "f16").lower()
    if kv_type not in KV_TYPES:
        raise UnsupportedFeature(
            f"llama.cpp has no key/value cache of type {options.kv_type!r}.",
            "",
            f"Choose one of {', '.join(KV_TYPES)}.",
        )
    if kv_type not in _SIXTEEN_BIT_OR_MORE and options.flash_attention is False:
        raise UnsupportedFeature(
            f"A {kv_type} key/value cache needs flash attention.",
            "llama.cpp reads quantized values only there.",
            "Leave flash attention on, or use f16.",
        )
    if (options.context_length or 0) * (options.max_sequences or 1) > _MAX_CELLS:
        raise UsageError(
            f"A context of {options.context_length:,} tokens for {options.max_sequences or 1} sequences is too long.",
            f"Together they may have {_MAX_CELLS:,}.",
            "",
        )
    gpus = devices.chosen(options.device, devices.find_devices())
    if options.gpu_layers and not gpus:
        raise DeviceNotFound(
            f"There is no GPU for {options.gpu_layers} layers.",
            "The device is cpu." if options.device == "cpu" else "This build of llama.cpp sees none on this machine.",
            "Leave out the number of GPU layers.",
        )
    longest = DEFAULT_EMBEDDING_CONTEXT if options.embeddings else DEFAULT_CONTEXT
    context = options.context_length or min(trained_context or longest, longest)
    return Parameters(
        gpus=gpus,
        gpu_layers=-1 if options.gpu_layers is None else options.gpu_layers,
        extra_buffers=extra_buffers,
        mmap=options.mmap,
        context_length=context,
        sequences=options.max_sequences or (1 if options.embeddings else DEFAULT_SEQUENCES),
        cells=context * (options.max_sequences or 1),
        batch_size=context if options.embeddings else min(options.batch_size or _BATCH, context),
        threads=options.threads or usable_cores(),
        kv_type=kv_type,
        flash_attention=options.flash_attention,
        embeddings=options.embeddings,
    )
