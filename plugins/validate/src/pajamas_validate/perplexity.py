"""Perplexity, and how much it differs from the original's.

exp(mean negative log-likelihood) and its error by the first-order rule, as llama-perplexity prints them. The ratio of
two perplexities over the same tokens is exp(mean difference); its error is the paired one, far smaller than their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pajamas_validate.estimate import Estimate, mean

if TYPE_CHECKING:
    from numpy.typing import NDArray


def perplexity(logprobs: NDArray[np.float32]) -> Estimate:
    """From the right tokens' log-probabilities, [windows, rows]. Infinite where one of them had no probability."""
    return _exponential(mean(-logprobs.astype(np.float64)))


def ratio(candidate: NDArray[np.float32], original: NDArray[np.float32]) -> Estimate:
    """Candidate's perplexity over the original's, both [windows, rows] over the same tokens."""
    with np.errstate(invalid="ignore"):  # both impossible: the original is no measure there, and the result says so
        return _exponential(mean(original.astype(np.float64) - candidate.astype(np.float64)))


def _exponential(logarithm: Estimate) -> Estimate:
    value = math.exp(min(logarithm.value, 700.0)) if math.isfinite(logarithm.value) else logarithm.value
    return logarithm.scaled(value, value)
