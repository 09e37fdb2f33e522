"""Which layers get more bits, and in which order: the largest fall of the error for a byte. Free of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen


@frozen
class Offer:
    """One way to store a layer."""

    bits: int
    size: int
    """Bytes."""
    error: float


@frozen
class Step:
    """One layer takes a larger offer."""

    layer: str
    offer: Offer
    cost: int
    """Bytes more."""
    gain: float
    """Error less."""


def order_steps(offers: Mapping[str, Sequence[Offer]], budget: int) -> list[Step]:
    """The steps that fit into `budget` bytes of all layers, the best first; a layer's first offer is what it has.

    Of each layer only the lower convex hull of (size, error) counts, and its steps are taken by error saved per byte:
    after any number of steps that is the solution of the Lagrangian for the bytes it takes, but for the last steps. A
    layer whose next step does not fit is passed over, so that what is left goes to smaller ones.
    """
    left = budget - sum(found[0].size for found in offers.values())
    steps = [step for layer, found in offers.items() for step in _hull(layer, found)]
    taken: list[Step] = []
    closed: set[str] = set()
    # A hull's steps fall in gain per byte, so that the order of all keeps the order of each.
    for step in sorted(steps, key=lambda step: (-step.gain / step.cost, step.layer)):
        if step.layer in closed:
            continue
        if step.cost > left:
            closed.add(step.layer)
            continue
        taken.append(step)
        left -= step.cost
    return taken


def _hull(layer: str, offers: Sequence[Offer]) -> list[Step]:
    """Steps from the first offer along the lower convex hull."""
    points = [offers[0]]
    for offer in sorted(offers[1:], key=lambda offer: offer.size):
        if offer.size <= points[-1].size or offer.error >= points[-1].error:
            continue
        while len(points) > 1 and _slope(points[-1], offer) >= _slope(points[-2], points[-1]):
            points.pop()
        points.append(offer)
    return [
        Step(layer, after, after.size - before.size, before.error - after.error) for before, after in pairwise(points)
    ]


def _slope(before: Offer, after: Offer) -> float:
    return (before.error - after.error) / (after.size - before.size)
