"""Means with their standard errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


_NORMAL = 1.96


@frozen(kw_only=True)
class Estimate:
    value: float
    error: float
    """Standard error, the tokens taken as independent: what llama-perplexity prints."""
    window_error: float
    """Standard error with the windows as independent instead: larger where hard tokens come together. 0 for one window,
    which cannot tell."""

    def margin(self, windows: int) -> float:
        """Half the width of the 95 % interval, by the larger of both errors, from that many windows.

        The window error comes from few values, so Student's t stands for 1.96; its expansion in 1 / degrees of freedom
        is that of Abramowitz and Stegun 26.7.5.
        """
        margin = _NORMAL * self.error
        if windows < 2:
            return margin
        freedom = windows - 1
        z = _NORMAL
        t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        return max(margin, t * self.window_error)

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
