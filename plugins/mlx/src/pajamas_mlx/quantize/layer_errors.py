"""In the child: what quantization does to each layer by itself."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import evolve

from pajamas_mlx.quantize.activations import Squares
from pajamas_mlx.quantize.allocation import Offer
from pajamas_mlx.quantize.choices import Choices, layers
from pajamas_mlx.quantize.opening import Opened
from pajamas_mlx.quantize.room import Room

_ROWS = 1024
"""Of a layer whose error is measured, evenly spread: enough for two digits."""


def measure_errors(
    opened: Opened, choices: Choices, room: Room, squares: Squares, done: Callable[[int, str], None]
) -> dict[str, list[Offer]]:
    """Each layer's offers. The error is what share of the layer's output is lost: sum over input columns of
    w * (W - Wq)^2 over that of w * W^2, w the mean squares of its inputs, or 1 without a text.
    """
    offers: dict[str, list[Offer]] = {}
    for path, module in layers(opened.model):
        if path not in room.sizes:
            continue
        choice = choices[path]
        assert choice is not None
        rows = module.weight.reshape(-1, module.weight.shape[-1])
        rows = rows[:: -(-rows.shape[0] // _ROWS)]
        exact = rows.astype(mx.float32)
        weights = squares.get(path, mx.ones(exact.shape[-1]))
        energy = (weights * exact * exact).sum()
        mx.eval(rows, exact, energy)
        offers[path] = []
        for bits, size in room.sizes[path].items():
            params = evolve(choice, bits=bits).params
            packed = mx.quantize(rows, **params)
            lost = exact - mx.dequantize(*packed, **params).astype(mx.float32)
            error = ((weights * lost * lost).sum() / mx.maximum(energy, 1e-30)).item()
            offers[path].append(Offer(bits, size, error))
        done(1, path)
        module.weight = mx.zeros((1, 1))  # measured: no longer in memory
    return offers
