"""Which layers get more bits: the largest fall of the error within a number of bytes. Free of the engine."""

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
class _Step:
    layer: str
    offer: Offer
    cost: int
    gain: float


def allocate(offers: Mapping[str, Sequence[Offer]], budget: int) -> dict[str, Offer]:
    """The offer that each layer takes; `budget` is in bytes, and each layer's first offer is what it has at least.

    Of each layer only the lower convex hull of (size, error) counts, and its steps are taken by error saved per byte:
    that is the solution of the Lagrangian, but for the last step that still fits. A layer whose next step does not
    fit is passed over, so that what is left goes to smaller ones.
    """
    taken = {layer: found[0] for layer, found in offers.items()}
    left = budget - sum(offer.size for offer in taken.values())
    steps = [step for layer, found in offers.items() for step in _hull(layer, found)]
    closed: set[str] = set()
    # A hull's steps fall in gain per byte, so that the order of all keeps the order of each.
    for step in sorted(steps, key=lambda step: (-step.gain / step.cost, step.layer)):
        if step.layer in closed:
            continue
        if step.cost > left:
            closed.add(step.layer)
            continue
        taken[step.layer] = step.offer
        left -= step.cost
    return taken


def _hull(layer: str, offers: Sequence[Offer]) -> list[_Step]:
    """Steps from the first offer along the lower convex hull."""
    points = [offers[0]]
    for offer in sorted(offers[1:], key=lambda offer: offer.size):
        if offer.size <= points[-1].size or offer.error >= points[-1].error:
            continue
        while len(points) > 1 and _slope(points[-1], offer) >= _slope(points[-2], points[-1]):
            points.pop()
        points.append(offer)
    return [
        _Step(layer, after, after.size - before.size, before.error - after.error) for before, after in pairwise(points)
    ]


def _slope(before: Offer, after: Offer) -> float:
    return (before.error - after.error) / (after.size - before.size)
