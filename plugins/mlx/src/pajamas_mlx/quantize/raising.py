"""In the child: measure what quantization does to each layer, and raise those that suffer most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import evolve, frozen

from pajamas_mlx.quantize.allocation import Offer, allocate
from pajamas_mlx.quantize.choices import Choices, layers
from pajamas_mlx.quantize.opening import Opened, open_model

CANDIDATES = (3, 4, 5, 6, 8)
_TOKENS, _SLOW_TOKENS = 16384, 2048
"""Of a text that are measured unless all of it was asked for, with Metal and without: later ones change little."""
_ROWS = 1024
"""Of a layer whose error is measured, evenly spread: enough for two digits."""


@frozen
class Room:
    """What may be raised, and how far. Bytes are of the weights, without headers."""

    sizes: dict[str, dict[int, int]]
    """Path of a layer to its bytes by bits, the recipe's own first."""
    budget: int
    """Of those layers together."""

    @property
    def least(self) -> int:
        return sum(next(iter(sizes.values())) for sizes in self.sizes.values())

    @property
    def most(self) -> int:
        """What they can come to, at most."""
        return max(self.least, min(self.budget, sum(max(sizes.values()) for sizes in self.sizes.values())))


def sizes_of(opened: Opened, choices: Choices) -> dict[str, dict[int, int]]:
    """`Room.sizes` of a model that is not quantized yet."""
    scale = getattr(mx, opened.dtype).size
    sizes: dict[str, dict[int, int]] = {}
    for path, module in layers(opened.model):
        choice = choices[path]
        if choice is not None and choice.mode == "affine":
            bits = (choice.bits, *(bits for bits in CANDIDATES if bits > choice.bits))
            sizes[path] = {b: evolve(choice, bits=b).size(module.weight.size, scale) for b in bits}
    return sizes


def measure_errors(
    opened: Opened, choices: Choices, found: Room, squares: dict[str, Any], done: Callable[[int, str], None]
) -> dict[str, list[Offer]]:
    """Each layer's offers. The error is what share of the layer's output is lost: sum over input columns of
    w * (W - Wq)^2 over that of w * W^2, w the mean squares of its inputs, or 1 without a text.
    """
    offers: dict[str, list[Offer]] = {}
    for path, module in layers(opened.model):
        if path not in found.sizes:
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
        for bits, size in found.sizes[path].items():
            params = evolve(choice, bits=bits).params
            packed = mx.quantize(rows, **params)
            lost = exact - mx.dequantize(*packed, **params).astype(mx.float32)
            error = ((weights * lost * lost).sum() / mx.maximum(energy, 1e-30)).item()
            offers[path].append(Offer(bits, size, error))
        done(1, path)
        module.weight = mx.zeros((1, 1))  # measured: no longer in memory
    return offers


@frozen(kw_only=True)
class Raised:
    choices: Choices
    bits: dict[str, int]
    """Path of each raised layer to its bits."""
    tokens: int | None
    """That the inputs were measured on; None without a text."""


def raise_layers(
    folder: Path, choices: Choices, found: Room, text: str | None, all_text: bool, emit: Callable[..., None]
) -> Raised:
    """Measure, and raise the layers of the model in `folder` as far as there is room.

    Raises:
        UsageError: the text is too short.
        UnsupportedModel: the tokenizer cannot be read.
    """
    squares: dict[str, Any] = {}
    tokens = None
    if text is not None:
        from pajamas_mlx.quantize.activations import measure
        from pajamas_mlx.quantize.windows import read_windows

        metal = mx.metal.is_available()
        batches = read_windows(folder, text, None if all_text else _TOKENS if metal else _SLOW_TOKENS)
        tokens = sum(batch.size for batch in batches)
        emit("stage", title="Measuring the layers' inputs", total=tokens, unit="tokens")
        # Without Metal MLX computes a layer of experts in 32 bits only.
        experts = any(module.weight.ndim > 2 for _, module in layers(open_model(folder).model))
        wide = "float32" if experts and not metal else None
        squares = measure(
            lambda: open_model(folder, wide), batches, lambda count: emit("advance", amount=count, note="")
        )
    emit("stage", title="Measuring the layers' errors", total=len(found.sizes), unit="tensors")
    offers = measure_errors(
        open_model(folder), choices, found, squares, lambda count, name: emit("advance", amount=count, note=name)
    )
    taken = allocate(offers, found.budget)
    bits = {path: offer.bits for path, offer in taken.items() if offer != offers[path][0]}
    raised = {path: evolve(choice, bits=bits[path]) for path, choice in choices.items() if choice and path in bits}
    return Raised(choices={**choices, **raised}, bits=bits, tokens=tokens)
