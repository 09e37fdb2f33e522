"""What is kept of each scored token: some bytes, whatever the vocabulary."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from pajamas.errors import UsageError
from pajamas_validate.atomic import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray


SCORES = "scores.npz"
"""The scores of every token, in a report's folder."""


@frozen(kw_only=True, eq=False)
class WindowScores:
    """One window's scored tokens; the last three are None where no original was compared."""

    logprobs: NDArray[np.float32]
    """[rows]: the candidate's natural logarithm of the right token's probability."""
    original_logprobs: NDArray[np.float32] | None = None
    """[rows]: the original's."""
    divergence: NDArray[np.float32] | None = None
    """[rows]: KL divergence of the candidate from the original, in nats."""
    divergence_error: NDArray[np.float32] | None = None
    """[rows]: its standard error, where it is estimated from a reference's sample."""
    same_top: NDArray[np.bool_] | None = None
    """[rows]: whether both hold the same token for the most likely."""


@frozen(kw_only=True, eq=False)
class Scores:
    """All windows, one row a window; the fields are those of `WindowScores`, [windows, rows]."""

    logprobs: NDArray[np.float32]
    original_logprobs: NDArray[np.float32] | None = None
    divergence: NDArray[np.float32] | None = None
    divergence_error: NDArray[np.float32] | None = None
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
            divergence_error=stack("divergence_error"),
            same_top=None if tops is None else tops.astype(np.bool_),
        )

    def windows(self) -> list[WindowScores]:
        arrays = {name: values for name, values in self._arrays().items() if values is not None}
        return [
            WindowScores(**{name: values[number] for name, values in arrays.items()})
            for number in range(len(self.logprobs))
        ]

    def _arrays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = ("logprobs", "original_logprobs", "divergence", "divergence_error", "same_top")


def write(path: Path, scores: Scores, key: str = "") -> None:
    """Write scores as numpy's .npz, complete or not at all; some 13 bytes a token.

    Args:
        key: what these are the scores of, for `read` to compare.

    Raises:
        UsageError: the file cannot be written.
    """
    arrays = {name: values for name, values in scores._arrays().items() if values is not None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as stream:
            np.savez(stream, key=np.array(key), **arrays)
    except OSError as error:
        raise UsageError(f"{path} cannot be written.", str(error), "Name another file.") from error


def read(path: Path, key: str = "") -> Scores | None:
    """What `write` wrote; None if there is no such file, it is damaged, or of another key."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            if str(found["key"]) != key:
                return None
            arrays = {name: found[name] for name in _FIELDS if name in found.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return Scores(**arrays) if _fit(arrays) else None


def _fit(arrays: dict[str, NDArray[np.float32]]) -> bool:
    shapes = {values.shape for values in arrays.values()}
    kinds = {name: np.dtype(np.bool_ if name == "same_top" else np.float32) for name in _FIELDS}
    sound = len(shapes) == 1 and len(next(iter(shapes))) == 2
    return sound and len(arrays) in (1, 4, 5) and all(arrays[name].dtype == kinds[name] for name in arrays)
