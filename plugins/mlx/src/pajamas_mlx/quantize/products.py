"""In the child: what a layer answers, by the fastest product that there is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
import mlx.nn as nn  # noqa: TID253  # a module of the child process
import numpy as np

_WEIGHTS = 1 << 23
"""That are widened together."""

Answer = Callable[..., Any]
"""Of a layer, from the layer itself and what its own method takes."""


def calling(kind: type) -> Answer:
    """`kind.__call__`. Without Metal MLX takes forty times as long for a product as the library behind numpy."""
    return kind.__call__ if kind is not nn.Linear or mx.metal.is_available() else _linear


def as_linear(kind: type) -> Answer:
    """`kind.as_linear`, likewise."""
    return kind.as_linear if kind is not nn.Embedding or mx.metal.is_available() else _linear  # type: ignore[attr-defined]  # of embeddings


def _linear(layer: Any, inputs: Any) -> Any:
    if inputs.dtype != mx.float32:
        result = inputs @ layer.weight.T
    else:
        # The output layer stays in 16 bits, and is widened in parts.
        rows, weight = np.asarray(inputs), layer.weight
        step = len(weight) if weight.dtype == mx.float32 else max(1, _WEIGHTS // weight.shape[-1])
        blocks = (weight[begin : begin + step].astype(mx.float32) for begin in range(0, len(weight), step))
        result = mx.array(np.concatenate([rows @ np.asarray(block).T for block in blocks], axis=-1))
    return result + layer.bias if "bias" in layer else result
