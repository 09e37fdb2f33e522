"""A loaded model: tokens in, logits out. To be used by the engine's thread only (see `engine.compute`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from pajamas.errors import UnsupportedFeature
from pajamas_mlx import engine
from pajamas_mlx.model_classes import classes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


KV_GROUP = 32
"""Numbers of a quantized key or value that share a scale: MLX's smallest group, which fits the most heads."""


@frozen(kw_only=True)
class Plan:
    """How a model is loaded."""

    folder: str
    compute_dtype: str | None
    """As in `LoadOptions`."""
    corrections: Mapping[str, Any]
    """To the config, before mlx-lm reads it: see `pajamas_mlx.session.rope`."""
    kv_bits: int | None
    """Of keys and values; None keeps their type."""
    window: int | None
    """Tokens that every layer looks back on, where mlx-lm's model knows of none."""


class Model:
    """Weights, in memory once this returns.

    :param plan: how to load them.

    Scales and biases of quantized weights are cast as all other floating tensors are; their integers stay.

    Raises:
        UnsupportedFeature: the model computes in another type all the same, or its cache cannot be quantized.
        Exception: whatever mlx-lm raises for a folder that it cannot load.
    """

    def __init__(self, plan: Plan) -> None:
        self._engine = engine.engine()
        mx = self._engine.mx
        self._window = plan.window
        self._kv_bits = plan.kv_bits
        compute_dtype = plan.compute_dtype
        self.network, _ = self._engine.models.load_model(
            Path(plan.folder), lazy=True, model_config=dict(plan.corrections), get_model_classes=classes
        )
        """mlx-lm's own."""
        if compute_dtype is not None:
            self._cast(getattr(mx, compute_dtype), everything=compute_dtype == "float32")
        # Known from the shapes; nothing is computed.
        cache = self.new_cache()
        logits = self.network(mx.array([[0]]), cache=cache)
        self._cached = [_cached(part) for whole in cache for part in getattr(whole, "caches", (whole,))]
        self.vocabulary_size: int = logits.shape[-1]
        if compute_dtype is not None and logits.dtype != getattr(mx, compute_dtype):
            raise UnsupportedFeature(
                f"This model cannot be computed in {compute_dtype}.",
                f"Cast to it, mlx-lm's code for it still computes in {logits.dtype}.",
                "Leave compute_dtype out.",
            )
        mx.eval(self.network.parameters())
        self.size = sum(array.nbytes for _, array in self._tensors())

    def new_cache(self) -> list[Any]:
        """An empty key/value cache, or whatever the model has in its place, a part for each layer."""
        caches: list[Any] = self._engine.caches.make_prompt_cache(self.network)
        if self._window is not None:
            # It forgets what lies behind the window, and its mask hides that within a prompt: mlx-lm's models take the
            # mask from their first layer's cache.
            caches = [self._engine.caches.RotatingKVCache(max_size=self._window) for _ in caches]
        if self._kv_bits is not None:
            caches = [self._quantized(part, self._kv_bits) for part in caches]
        return caches

    def cache_size(self, tokens: int) -> int:
        """Bytes that the cache of so many tokens takes: keys and values of each, or of the last ones, or a state."""
        return sum(fixed + each * min(tokens, longest or tokens) for fixed, each, longest in self._cached)

    def advance(self, tokens: Sequence[int], cache: list[Any]) -> None:
        """Put tokens into the cache. The output layer is not computed: nothing asks for its result."""
        self.network(self._engine.mx.array([tokens]), cache=cache)
        self._engine.mx.eval([part.state for part in cache])
        self._engine.mx.clear_cache()

    def logits(self, tokens: Sequence[int], cache: list[Any]) -> NDArray[np.float32]:
        """Of the token after the last one, float32 [vocabulary]; the tokens go into the cache."""
        import numpy as np

        mx = self._engine.mx
        row = self.network(mx.array([tokens]), cache=cache)[0, -1].astype(mx.float32)
        mx.eval(row, [part.state for part in cache])
        return np.array(row)

    def all_logits(self, tokens: Sequence[int], cache: list[Any], first: int) -> NDArray[np.float32]:
        """Of the tokens after each one from `first` on, float32 [len(tokens) - first, vocabulary]."""
        import numpy as np

        mx = self._engine.mx
        rows = self.network(mx.array([tokens]), cache=cache)[0, first:].astype(mx.float32)
        mx.eval(rows, [part.state for part in cache])
        return np.array(rows)

    def free(self) -> None:
        """Give the memory back."""
        self.network = None
        self._engine.mx.clear_cache()

    def _quantized(self, part: Any, bits: int) -> Any:
        if type(part) is not self._engine.caches.KVCache:
            raise UnsupportedFeature(
                f"This model's key/value cache cannot have {bits} bits.",
                f"mlx-lm quantizes no {type(part).__name__}, which layers with a window or a state have.",
                "Leave kv_type out, or ask for no longer context than the window.",
            )
        return self._engine.caches.QuantizedKVCache(group_size=KV_GROUP, bits=bits)

    def _cast(self, dtype: Any, *, everything: bool) -> None:
        """As `mlx_lm.convert --dtype` does; for float32 also those few that some models keep in their own type."""
        mx = self._engine.mx
        kept = None if everything else getattr(self.network, "cast_predicate", None)

        def cast(name: str, array: Any) -> Any:
            floating = mx.issubdtype(array.dtype, mx.floating)
            return array.astype(dtype) if floating and (kept is None or kept(name)) else array

        self.network.load_weights([(name, cast(name, array)) for name, array in self._tensors()])

    def _tensors(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = self._engine.trees.tree_flatten(self.network.parameters())
        return found


def _cached(part: Any) -> tuple[int, int, int | None]:
    """Of one layer's cache, bytes in any case and bytes for each token, and of how many tokens at most."""
    keys = getattr(part, "keys", None)
    if keys is None:
        return int(part.nbytes), 0, None
    held = (keys[0] if isinstance(keys, tuple) else keys).shape[-2]
    longest = getattr(part, "max_size", None) or getattr(part, "chunk_size", None)
    return 0, int(part.nbytes) // int(held), longest
