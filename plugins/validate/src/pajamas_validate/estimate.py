"""Means with their standard errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(kw_only=True)
class Estimate:
    value: float
    error: float
    """Standard error, the tokens taken as independent: what llama-perplexity prints."""
    window_error: float
    """Standard error with the windows as independent instead: larger where hard tokens come together. 0 for one window,
    which cannot tell."""

    @property
    def caution(self) -> float:
        """The larger error: what a verdict reckons with."""
        return max(self.error, self.window_error)

    def scaled(self, factor: float, value: float | None = None) -> Estimate:
        """Both errors times `factor`, and the value too unless another is given."""
        return Estimate(
            value=self.value * factor if value is None else value,
            error=self.error * abs(factor),
            window_error=self.window_error * abs(factor),
        )


def mean(values: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.bool_]) -> Estimate:
    """The mean of values [windows, rows], summed in float64.

    The error is sqrt(var / (n - 1)) with var = E[x^2] - E[x]^2: `mean_and_uncertainty` in llama.cpp's perplexity.cpp.
    """
    values = np.asarray(values, np.float64)
    return Estimate(value=float(values.mean()), error=_error(values.ravel()), window_error=_error(values.mean(axis=1)))


def _error(values: NDArray[np.float64]) -> float:
    if len(values) < 2:
        return 0.0
    if not np.isfinite(values).all():
        return math.inf
    return math.sqrt(values.var() / (len(values) - 1))
