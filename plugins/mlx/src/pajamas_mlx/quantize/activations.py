"""In the child: what the layers of a model are fed with, measured on a text.

As llama.cpp's importance matrix: the mean of the squared inputs of each layer, one value an input column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import frozen

from pajamas_mlx.quantize.streaming import OnDisk, Stream

Squares = dict[str, Any]
"""Path of a layer to the mean squares of its inputs, float32, one for each column; layers that were reached."""


@frozen(kw_only=True)
class Activations:
    squares: Squares
    hidden: list[Any]
    """What the output layer is fed with, one array a batch (samples, tokens, width); empty if none was reached."""
    head: str | None
    """Path of the output layer."""
    calls: int
    """How often a layer answers before the output layer does, in the batches of `hidden`."""


def measure(source: OnDisk, batches: list[Any], done: Callable[[int], None], keep: int = 0) -> Activations:
    """Run batches of token ids (samples, tokens) through the 16-bit model; `done` hears of so many tokens more.

    Args:
        keep: of how many batches `hidden` is kept.
    """
    sums: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def record(path: str, inputs: Any) -> None:
        rows = inputs.reshape(-1, inputs.shape[-1]).astype(mx.float32)
        found = (rows * rows).sum(axis=0)
        sums[path] = sums[path] + found if path in sums else found
        counts[path] = counts.get(path, 0) + rows.shape[0]
        mx.eval(sums[path])

    called: list[str] = []
    hidden: list[Any] = []
    stream = Stream(source, record=record, done=called.append)
    calls = 0
    for batch in batches:
        found = stream.run(batch)
        if found is not None and len(hidden) < keep:
            hidden.append(found)
            calls = len(called)
        done(batch.size)
    squares = {path: total / counts[path] for path, total in sums.items()}
    return Activations(squares=squares, hidden=hidden, head=stream.head, calls=calls)
