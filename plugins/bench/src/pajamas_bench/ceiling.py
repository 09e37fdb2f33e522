"""What the machine's memory allows: every token reads the weights that it passes through, and its context."""

from __future__ import annotations

from pajamas.types import Architecture, MemoryUse


def weights_per_token(size: int, architecture: Architecture) -> int:
    """Bytes of `size` (all weights) that one token reads.

    All of them but the token embedding where the output layer has weights of its own, for of it one row is read; and of
    the experts only those that are active. Shares of the parameters stand for shares of the bytes; 0 where their number
    is not known.
    """
    parameters = architecture.parameters
    if not parameters:
        return 0
    touched = architecture.active_parameters or parameters
    if architecture.tied_embeddings is False and architecture.vocab_size and architecture.hidden_size:
        touched -= architecture.vocab_size * architecture.hidden_size
    return round(size * touched / parameters)


def kv_per_token(memory: MemoryUse, cells: int, architecture: Architecture) -> float:
    """Bytes of keys and values that one token of the context holds.

    By what the engine has allocated for `cells` tokens; where it does not say, keys and values of 16 bits: layers x KV
    heads x head size of each.
    """
    if memory.kv_cache and cells:
        return memory.kv_cache / cells
    layers, heads, width = architecture.num_layers, architecture.num_kv_heads, architecture.head_dim
    return 4.0 * layers * heads * width if layers and heads and width else 0.0


def ceiling(bandwidth: float, weights: int, kv: float, depth: float, requests: int = 1) -> float | None:
    """Tokens a second of `requests` computed together, each with `depth` tokens of context. The weights are read once
    for all of them. None where the weights are not known.

    Args:
        bandwidth: bytes a second.
        weights: bytes a pass, from `weights_per_token`.
        kv: bytes for each token of a context, from `kv_per_token`.
    """
    return requests * bandwidth / (weights + requests * kv * depth) if weights else None


def usable_bandwidth(one: float, all_threads: float, threads: int | None) -> float:
    """Of as many threads as compute: they cannot read more than all, nor more than each by itself."""
    return all_threads if threads is None else min(all_threads, one * threads)
