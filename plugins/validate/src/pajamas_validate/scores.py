"""What is kept of each scored token: some bytes, whatever the vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(kw_only=True, eq=False)
class WindowScores:
    """One window's scored tokens; the last three are None where no original was compared."""

    logprobs: NDArray[np.float32]
    """[rows]: the candidate's natural logarithm of the right token's probability."""
    original_logprobs: NDArray[np.float32] | None = None
    """[rows]: the original's."""
    divergence: NDArray[np.float32] | None = None
    """[rows]: KL divergence of the candidate from the original, in nats."""
    same_top: NDArray[np.bool_] | None = None
    """[rows]: whether both hold the same token for the most likely."""


@frozen(kw_only=True, eq=False)
class Scores:
    """All windows, one row a window; the fields are those of `WindowScores`, [windows, rows]."""

    logprobs: NDArray[np.float32]
    original_logprobs: NDArray[np.float32] | None = None
    divergence: NDArray[np.float32] | None = None
    same_top: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, windows: list[WindowScores]) -> Scores:
        def stack(name: str) -> NDArray[np.float32] | None:
            parts = [getattr(window, name) for window in windows]
            return None if not parts or parts[0] is None else np.stack(parts)

        tops = stack("same_top")
        return cls(
            logprobs=np.stack([window.logprobs for window in windows]),
            original_logprobs=stack("original_logprobs"),
            divergence=stack("divergence"),
            same_top=None if tops is None else tops.astype(np.bool_),
        )
