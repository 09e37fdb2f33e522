"""In the child: how far the layers of a model may be raised."""

from __future__ import annotations

import mlx.core as mx  # noqa: TID253  # a module of the child process
from attrs import evolve, frozen

from pajamas_mlx.quantize.choices import Choices, layers
from pajamas_mlx.quantize.opening import Opened

CANDIDATES = (3, 4, 5, 6, 8)


@frozen(kw_only=True)
class Room:
    """What may be raised, and how far. Bytes are of the weights, without headers, unless it says so."""

    sizes: dict[str, dict[int, int]]
    """Path of a layer to its bytes by bits, the recipe's own first."""
    fixed: int
    """Bytes of all that may not be raised, with headers."""
    parameters: int
    """Of the whole model."""
    target_bpw: float

    @property
    def budget(self) -> int:
        """Of the layers together."""
        return int(self.target_bpw * self.parameters / 8) - self.fixed

    @property
    def least(self) -> int:
        return sum(next(iter(sizes.values())) for sizes in self.sizes.values())

    @property
    def most(self) -> int:
        """What they can come to, at most."""
        return max(self.least, min(self.budget, sum(max(sizes.values()) for sizes in self.sizes.values())))

    def bits_per_weight(self, more: int) -> float:
        """Of the whole model with so many bytes more than the recipe's."""
        return 8 * (self.fixed + self.least + more) / self.parameters


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
