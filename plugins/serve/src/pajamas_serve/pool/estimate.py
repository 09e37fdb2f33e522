"""How much memory a worker will take, told before it is loaded from the model's headers alone."""

from __future__ import annotations

from pajamas.architecture import detect_architecture
from pajamas.errors import PajamasError
from pajamas.modelfiles import LocalFiles
from pajamas.operations.detecting import weight_sizes
from pajamas.operations.fitting import trained_context
from pajamas.types import Architecture, Artifact, LoadOptions

PROCESS = 64 << 20
"""Of an interpreter with an engine in it, before it loads anything."""
_BATCH = 512
"""Tokens whose activations and logits lie in the compute buffers at once."""
_FLOAT = 4
_HALF = 2
_USUAL_CONTEXT = 8192
"""Tokens that backends take at most where no length is asked for; see docs/decisions.md."""


def predict(artifact: Artifact, options: LoadOptions) -> int:
    """Bytes for weights, key/value cache (16 bits a value) and compute buffers, somewhat too many rather than too few.

    A file that core cannot read counts with its size alone. After the load the engine's own figure replaces this one.
    """
    try:
        files = LocalFiles(artifact.path)
        weights = artifact.size or sum(weight_sizes(files).values())
        architecture = detect_architecture(files)
    except PajamasError:
        return artifact.size + PROCESS  # the load will say what is wrong with it
    return weights + (_cache(architecture, options) + _compute(architecture) if architecture else 0) + PROCESS


def _cache(a: Architecture, options: LoadOptions) -> int:
    """Keys and values: 2 x layers x heads x width x tokens; latent attention takes less, and counts like this."""
    context = options.context_length or min(trained_context(a) or _USUAL_CONTEXT, _USUAL_CONTEXT)
    heads = a.num_kv_heads or a.num_heads or 0
    width = a.head_dim or (a.hidden_size or 0) // (a.num_heads or 1)
    return 2 * (a.num_layers or 0) * heads * width * _HALF * context * (options.max_sequences or 1)


def _compute(a: Architecture) -> int:
    """Logits of a batch, and the widest activations."""
    return _BATCH * _FLOAT * ((a.vocab_size or 0) + 4 * (a.intermediate_size or 4 * (a.hidden_size or 0)))
