"""Whether mlx-lm's batches compute what a model computes alone: tried, because some of its models cannot be batched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pajamas.errors import PajamasError
from pajamas_mlx import engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas_mlx.session.model import Model

_LENGTHS = (3, 40)
"""Tokens of two prompts: far enough apart for a wrong position to show."""
_TOLERANCE = 0.1
"""Of the standard deviation of the logits. Rounding of 16 bits is a tenth of it, a wrong position ten times as much."""


def computes_together(model: Model, device: str) -> bool:
    """Whether the next tokens' logits after two prompts are the same together as alone, but for rounding."""

    def work() -> bool:
        prompts = [[(7 * place) % model.vocabulary_size for place in range(length)] for length in _LENGTHS]
        alone = [_alone(model, prompt) for prompt in prompts]
        together = _together(model, prompts)
        return all(
            float(np.abs(one - other).max()) <= _TOLERANCE * max(float(one.std()), 1e-6)
            for one, other in zip(alone, together, strict=True)
        )

    try:
        return engine.compute(device, work)
    except PajamasError:
        return False
    except Exception:  # mlx-lm's models raise anything where their cache has an array for an offset
        return False


def _alone(model: Model, prompt: list[int]) -> NDArray[np.float32]:
    cache = model.new_cache()
    model.advance(prompt[:-1], cache)
    return model.logits(prompt[-1:], cache)


def _together(model: Model, prompts: list[list[int]]) -> NDArray[np.float32]:
    mx = engine.engine().mx
    caches = []
    for prompt in prompts:
        caches.append(model.new_cache())
        model.advance(prompt[:-1], caches[-1])
    merged: list[Any] = [parts[0].merge(list(parts)) for parts in zip(*caches, strict=True)]
    rows = model.network(mx.array([prompt[-1:] for prompt in prompts]), cache=merged)[:, -1].astype(mx.float32)
    return np.array(rows)
