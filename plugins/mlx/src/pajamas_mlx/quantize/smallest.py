"""How few steps of an allocation are enough, found with few probes. Free of the engine."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

_CLOSE = 16
"""The search ends when it knows the number of steps to one part in so many of all."""


def smallest(errors: Sequence[float], probe: Callable[[int], float]) -> tuple[int, bool]:
    """The fewest steps whose load is at most 1, and whether there are any: else it is all steps.

    Each probe costs a pass over the model. The load is taken to fall as the sum of the layers' measured errors does,
    which is a good first guess, and bisected where that guess does not halve what is left.

    Args:
        errors: the sum that is left after 0, 1, ... all steps; falling.
        probe: from a number of steps to the load.
    """
    low, high = 0, len(errors) - 1
    at_low = probe(low)
    if at_low <= 1 or not high:
        return low, at_low <= 1
    at_high = probe(high)
    if not at_high <= 1:  # also where it is no number
        return high, False
    halved = True
    close = max(1, high // _CLOSE)
    while high - low > close:
        steps = (low + high) // 2
        if halved:
            share = (1 - at_high) / (at_low - at_high)
            wanted = errors[high] + share * (errors[low] - errors[high])
            steps = min(max(bisect_left(errors, -wanted, key=lambda error: -error), low + 1), high - 1)
        before, load = high - low, probe(steps)
        if load <= 1:
            high, at_high = steps, load
        else:
            low, at_low = steps, load
        halved = high - low <= before / 2
    return high, True
