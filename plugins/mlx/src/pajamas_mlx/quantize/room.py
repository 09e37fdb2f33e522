"""How far the layers of a model may be raised."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from pajamas_mlx.quantize.choices import Choices

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


def sizes_of(elements: Mapping[str, int], choices: Choices, scale: int) -> dict[str, dict[int, int]]:
    """`Room.sizes`, from the layers' numbers of weights and the bytes of a scale."""
    sizes: dict[str, dict[int, int]] = {}
    for path, count in elements.items():
        choice = choices[path]
        if choice is not None and choice.mode == "affine":
            bits = (choice.bits, *(bits for bits in CANDIDATES if bits > choice.bits))
            sizes[path] = {b: evolve(choice, bits=b).size(count, scale) for b in bits}
    return sizes


def room_of(sizes: dict[str, dict[int, int]], recipe: int, parameters: int, target_bpw: float) -> Room:
    """`recipe` is the bytes of all weight files where nothing is raised."""
    least = sum(next(iter(found.values())) for found in sizes.values())
    # A raised layer's place and shape may take more digits in the header.
    fixed = recipe - least + 48 * len(sizes)
    return Room(sizes=sizes, fixed=fixed, parameters=parameters, target_bpw=target_bpw)
