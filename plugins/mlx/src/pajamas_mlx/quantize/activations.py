"""In the child: what the layers of a model are fed with, measured on a text.

As llama.cpp's importance matrix: the mean of the squared inputs of each layer, one value an input column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
import mlx.nn as nn  # noqa: TID253  # a module of the child process

from pajamas_mlx.quantize.choices import is_vocabulary, layers
from pajamas_mlx.quantize.opening import Opened

Squares = dict[str, Any]
"""Path of a layer to the mean squares of its inputs, float32, one for each column; layers that were reached."""


def measure(open_again: Callable[[], Opened], batches: list[Any], done: Callable[[int], None]) -> Squares:
    """Run batches of token ids (samples, tokens) through the 16-bit model; `done` hears of so many tokens more.

    The model is opened anew for each batch, and each layer's weights are dropped when it has answered: so no more
    than one layer is in memory, whatever the model's size, and the operating system's cache makes reading cheap.
    """
    sums: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def record(path: str, inputs: Any) -> None:
        rows = inputs.reshape(-1, inputs.shape[-1]).astype(mx.float32)
        found = (rows * rows).sum(axis=0)
        sums[path] = sums[path] + found if path in sums else found
        counts[path] = counts.get(path, 0) + rows.shape[0]
        mx.eval(sums[path])

    for batch in batches:
        opened, twin = open_again(), dict(layers(open_again().model))
        for path, module in layers(opened.model):
            _watch(path, module, twin[path], record, last=is_vocabulary(path, module, opened.config))
        opened.model(batch)  # the answer itself is never computed
        done(batch.size)
    return {path: total / counts[path] for path, total in sums.items()}


def _watch(path: str, module: Any, twin: Any, record: Callable[[str, Any], None], *, last: bool) -> None:
    """Let this one module tell what it is fed with, by a class of its own: its parameters stay where they are."""
    kind = type(module)

    def call(self: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(self, nn.Embedding):
            return kind.__call__(self, inputs)
        record(path, inputs)
        result = kind.__call__(self, inputs, *rest, **named)
        if last:
            return result
        mx.eval(result)
        self.weight = twin.weight  # not loaded yet, and in most models never again
        return result

    def as_linear(self: Any, inputs: Any) -> Any:
        record(path, inputs)
        return kind.as_linear(self, inputs)

    members: dict[str, Any] = {"__call__": call}
    if hasattr(kind, "as_linear"):
        members["as_linear"] = as_linear
    module.__class__ = type(kind.__name__, (kind,), members)
