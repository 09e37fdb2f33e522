"""How much memory a model will take, before it is loaded."""

from __future__ import annotations

from typing import Any

from pajamas_mlx.parameters import CHUNK


def predict(model: Any, context: int, weights: int, *, quantized: bool) -> int:
    """Bytes for the weights, the key/value cache of `context` tokens and what computing a prompt takes for a while.

    The cache's arrays are those of the model's own cache for one token: nothing is computed. The rest is an estimate:
    three layers' worth of activations, and where there is no Metal the attention's scores of one layer, twice. There
    a session computes a quantized model in 32 bits.
    """
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache

    caches = make_prompt_cache(model)
    model(mx.zeros((1, 1), dtype=mx.int32), cache=caches)
    metal = mx.metal.is_available()
    caches_size = sum(_size(cache, context) for cache in caches)
    args = model.args
    numbers = [getattr(args, name, None) or 0 for name in ("hidden_size", "intermediate_size", "num_attention_heads")]
    return weights + computing(caches_size, context, *numbers, quantized=quantized, metal=metal)


def _size(cache: Any, context: int) -> int:
    keys = getattr(cache, "keys", None)
    if keys is None:  # of a fixed size, or of several
        return sum(_size(part, context) for part in getattr(cache, "caches", ())) or int(cache.nbytes)
    a_token: int = sum(array.nbytes // array.shape[-2] for array in (keys, cache.values))
    step: int = getattr(cache, "step", 1)
    longest: int | None = getattr(cache, "max_size", None)
    tokens = -(-context // step) * step
    return a_token * (tokens if longest is None else min(tokens, longest + CHUNK))


def computing(caches: int, context: int, hidden: int, inner: int, heads: int, *, quantized: bool, metal: bool) -> int:
    """Bytes of what is not weights, given those of the caches in 16 bits."""
    inner = max(inner, 4 * hidden)
    chunk = min(CHUNK, context)
    scores = 0 if metal else heads * chunk * context * 2
    wide = 2 if quantized and not metal else 1
    return wide * (caches + 3 * chunk * (hidden + inner) * 2 + 2 * scores)
