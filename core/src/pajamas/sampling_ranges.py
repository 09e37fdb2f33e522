"""Which numbers of sampling options make sense. For sessions whose engine does not check them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pajamas.errors import UsageError

if TYPE_CHECKING:
    from pajamas.types import Sampling

_RANGES = {
    "temperature": (0, math.inf), "top_k": (0, 2**31 - 1), "top_p": (0, 1), "min_p": (0, 1), "typical_p": (0, 1),
    "repetition_penalty": (1e-6, 1e6), "presence_penalty": (-1e6, 1e6), "frequency_penalty": (-1e6, 1e6),
}  # fmt: skip


def check_ranges(sampling: Sampling, vocabulary_size: int) -> None:
    """Refuse numbers that make no sense.

    Raises:
        UsageError: an option out of its range, or a bias for a token that does not exist.
    """
    for field, (low, high) in _RANGES.items():
        value = getattr(sampling, field)
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            name = field.replace("_", " " if field.endswith("penalty") else "-")
            raise UsageError(f"{name} {value} makes no sense.", f"It must be from {low:g} to {high:g}.", "")
    for token, bias in sampling.logit_bias.items():
        if not 0 <= token < vocabulary_size:
            raise UsageError(
                f"There is a logit bias for token {token}.", f"The vocabulary has {vocabulary_size:,} tokens.", ""
            )
        if math.isnan(bias) or bias == math.inf:
            raise UsageError(f"Logit bias {bias} for token {token} makes no sense.", "It must be a number or -inf.", "")
