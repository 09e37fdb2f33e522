"""From scores to the figures that are printed, each with its standard error, by llama-perplexity's formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from pajamas.errors import UsageError
from pajamas_validate.estimate import Estimate, mean
from pajamas_validate.perplexity import perplexity, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas_validate.scores import Scores

QUANTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
"""Per cent of the tokens that diverge less."""


@frozen(kw_only=True)
class Comparison:
    """The candidate against its original, over the same tokens."""

    perplexity: Estimate
    """The original's."""
    increase: Estimate
    """Of the perplexity, in per cent, with the paired error."""
    divergence: Estimate
    """Mean KL divergence, in nats."""
    sampling_error: float | None
    """The part of its standard error that comes from a reference's sample; None without a reference."""
    quantiles: Mapping[float, float]
    """Of the divergence, in nats, by `QUANTILES`; the largest is 100."""
    same_top: Estimate
    """Tokens for which both hold the same one for the most likely, in per cent."""
    change: Estimate
    """Mean change of the right token's probability, in percentage points."""
    change_rms: Estimate
    """Root of the mean square of that change, in percentage points."""


@frozen(kw_only=True)
class Summary:
    tokens: int
    """Scored tokens."""
    perplexity: Estimate
    """The candidate's."""
    comparison: Comparison | None
    """None without an original."""


def summarize(scores: Scores) -> Summary:
    """Everything that is printed.

    Raises:
        UsageError: the original holds a token of the text for impossible, so nothing can be compared with it.
    """
    return Summary(tokens=scores.logprobs.size, perplexity=perplexity(scores.logprobs), comparison=_compare(scores))


def _compare(scores: Scores) -> Comparison | None:
    original = scores.original_logprobs
    if original is None or scores.divergence is None or scores.same_top is None:
        return None
    if np.isneginf(original).any():
        raise UsageError(
            "The original cannot be measured on this text.",
            "It holds a token of the text for impossible: its perplexity is infinite.",
            "Use another text, or check the original.",
        )
    change = np.exp(scores.logprobs.astype(np.float64)) - np.exp(original.astype(np.float64))
    increase = ratio(scores.logprobs, original)
    return Comparison(
        perplexity=perplexity(original),
        increase=increase.scaled(100.0, 100.0 * (increase.value - 1.0)),
        divergence=mean(scores.divergence),
        sampling_error=_sampling_error(scores),
        quantiles=_quantiles(scores.divergence),
        same_top=mean(scores.same_top).scaled(100.0),
        change=mean(change).scaled(100.0),
        change_rms=_root(mean(change**2)).scaled(100.0),
    )


def _sampling_error(scores: Scores) -> float | None:
    if scores.divergence_error is None:
        return None
    return float(np.sqrt((scores.divergence_error.astype(np.float64) ** 2).sum()) / scores.divergence_error.size)


def _quantiles(divergence: NDArray[np.float32]) -> dict[float, float]:
    values = np.sort(divergence.ravel().astype(np.float64))
    found = {place: _quantile(values, place / 100.0) for place in QUANTILES}
    return found | {100.0: float(values[-1])}


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Between the two neighbours in sorted values, unless they are equal: two infinities have nothing between them."""
    place = share * (len(values) - 1)
    low, high = values[int(place)], values[min(int(place) + 1, len(values) - 1)]
    return float(low if low == high else low + (place - int(place)) * (high - low))


def _root(square: Estimate) -> Estimate:
    """The root of a mean square: an error of x is one of x^(1/2) times 1 / (2 x^(1/2))."""
    root = float(np.sqrt(square.value))
    return square.scaled(0.5 / root if root else 0.0, root)
