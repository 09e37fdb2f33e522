"""Tensors that must be exact whatever the scheme, norms above all: an artifact's against its original's, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from pajamas.modelfiles import LocalFiles
from pajamas_validate.equivalence.candidate import WIDE, Tensor, tensors_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.modelfiles import ModelFiles

_ROUNDING = 2.0**-8
"""Relative error that rounding to bfloat16, the narrowest wide type, can make of one value."""
_LOOKED_AT = 1 << 20
"""Values of a tensor that are compared, its first: a swapped or scaled tensor shows in them."""

_FEW = 16


@frozen(kw_only=True)
class WeightDifference:
    name: str
    error: float
    """Root mean square of the difference over that of the original."""
    like: str | None = None
    """The original's tensor whose values stand here instead."""

    @property
    def sentence(self) -> str:
        stands = f": it holds what is {self.like} in the original" if self.like else ""
        return f"{self.name} differs from the original by {100 * self.error:.3g} %{stands}."


@frozen(kw_only=True)
class WeightCheck:
    compared: int
    """Tensors that both have unquantized, under the same name and in the same shape."""
    differences: tuple[WeightDifference, ...]


def compare_weights(path: Path, original: Path) -> WeightCheck:
    """Every tensor that is unquantized in both files, within the rounding of 16 bits.

    Raises:
        ModelFileError: a file is damaged.
    """
    mine, others = tensors_of(path), tensors_of(original)
    files, original_files = LocalFiles(path), LocalFiles(original)
    shared = [
        name
        for name, tensor in mine.items()
        if name in others and tensor.type in WIDE and others[name].type in WIDE and tensor.shape == others[name].shape
    ]
    wrong: dict[str, float] = {}
    for name in shared:
        error = _error(_values(files, mine[name]), _values(original_files, others[name]))
        if not error <= _ROUNDING:  # not a number is wrong too
            wrong[name] = error
    found = [
        WeightDifference(name=name, error=error, like=_like(name, list(wrong), files, mine, original_files, others))
        for name, error in wrong.items()
    ]
    return WeightCheck(compared=len(shared), differences=tuple(found))


def _like(
    name: str,
    wrong: list[str],
    files: ModelFiles,
    mine: dict[str, Tensor],
    original_files: ModelFiles,
    others: dict[str, Tensor],
) -> str | None:
    """Which of the original's tensors, among those that something is wrong with, this one equals."""
    if len(wrong) > _FEW:  # nothing was merely swapped
        return None
    values = _values(files, mine[name])
    for other in wrong:
        same_shape = other != name and others[other].shape == mine[name].shape
        if same_shape and _error(values, _values(original_files, others[other])) <= _ROUNDING:
            return other
    return None


def _error(values: NDArray[np.float32], original: NDArray[np.float32]) -> float:
    size = float(np.sqrt(np.square(original, dtype=np.float64).mean())) or 1.0
    plain = _rms(values, original) / size
    # Some engines keep a norm as the one plus w that they compute with, and not as the w of the original.
    return min(plain, _rms(values - np.float32(1), original) / size) if plain > _ROUNDING else plain


def _rms(values: NDArray[np.float32], original: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(values - original, dtype=np.float64).mean()))


def _values(files: ModelFiles, tensor: Tensor) -> NDArray[np.float32]:
    width = {"F64": 8, "F32": 4}.get(tensor.type, 2)
    data = files.read(tensor.file, tensor.offset, min(tensor.size, _LOOKED_AT * width))
    if tensor.type == "BF16":
        found = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        found = np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[tensor.type]).astype(np.float32)
    return found if len(found) else np.zeros(1, np.float32)
