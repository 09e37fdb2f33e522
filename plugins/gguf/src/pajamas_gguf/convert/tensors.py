"""Streaming planned tensors: rows read in bounded pieces, permuted, re-encoded and handed on.

The source is read in pieces of a few megabytes rather than through a memory map: mapped pages count as this process's
memory, and a file that shrinks under a map kills the process instead of raising an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pajamas.errors import ModelFileError
from pajamas.modelfiles import ModelFiles
from pajamas_gguf.convert.plan import PlannedTensor, Slice

_PIECE = 4 << 20
_NUMPY = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


class TensorStream:
    """The bytes of planned tensors. Keeps the shard in hand open; close it, or use it as a context manager."""

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        self._open: tuple[str, FileIO] | None = None

    def pieces(self, tensor: PlannedTensor) -> Iterator[NDArray[Any]]:
        """The tensor's data in order, little-endian, in pieces of a few megabytes.

        Raises:
            ModelFileError: the source is truncated, holds NaN or infinity, or a value that the target cannot hold.
        """
        if tensor.values is not None:
            yield tensor.values.astype("<f4")
        for part in tensor.slices:
            step = max(1, _PIECE // max(1, part.row_bytes))
            if part.head_rows:
                step = max(1, step // part.head_rows) * part.head_rows
            for first in range(0, part.rows, step):
                rows = self._read(part, part.first + first, min(step, part.rows - first))
                yield encode(rows, part.entry.dtype, tensor.type, part.entry.name)

    def _read(self, part: Slice, first: int, count: int) -> NDArray[Any]:
        """`count` rows as a matrix, in the source's type (BF16 as uint16)."""
        entry, size = part.entry, count * part.row_bytes
        data = bytearray(size)
        self._fill(memoryview(data), entry.file, entry.offset + first * part.row_bytes)
        rows: NDArray[Any] = np.frombuffer(data, dtype=_NUMPY[entry.dtype]).reshape(count, -1)
        return interleave_heads(rows, part.head_rows) if part.head_rows else rows

    def _fill(self, view: memoryview, file: str, offset: int) -> None:
        try:
            stream = self._shard(file)
            stream.seek(offset)
            while view and (count := stream.readinto(view)):
                view = view[count:]
        except OSError as error:
            raise ModelFileError(
                f"{file} of {self._files.origin} cannot be read.", str(error), "Check the disk."
            ) from error
        if view:
            raise ModelFileError(
                f"{file} of {self._files.origin} is truncated.", "It became shorter.", "Download it again."
            )

    def _shard(self, file: str) -> FileIO:
        if self._open is None or self._open[0] != file:
            self.close()
            path = self._files.local_path(file)
            if path is None:
                raise ModelFileError(
                    f"{file} of {self._files.origin} is not on this machine.", "", "Download the model."
                )
            self._open = file, FileIO(path)
        return self._open[1]

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def interleave_heads(rows: NDArray[Any], head_rows: int) -> NDArray[Any]:
    """Rows i and i + half of each head of `head_rows` rows become neighbours: transformers' rotary order to Meta's.

    The conversion scripts of transformers (convert_llama_weights_to_hf.py, `permute`) do the reverse.
    """
    heads = rows.reshape(-1, 2, head_rows // 2, rows.shape[-1])
    return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)


def encode(rows: NDArray[Any], source: str, target: str, name: str) -> NDArray[Any]:
    """Numbers of type `source` ("BF16" as uint16) as type `target` ("BF16" as uint16), rounded to nearest even.

    Raises:
        ModelFileError: a number of the tensor `name` is NaN or infinite, or too large for `target`.
    """
    if source == "BF16":
        if rows.size and int((rows & 0x7FFF).max()) >= 0x7F80:
            raise _not_finite(name)
        if target == "BF16":
            return rows
        numbers: NDArray[Any] = (rows.astype("<u4") << 16).view("<f4")
    else:
        if not np.isfinite(rows).all():
            raise _not_finite(name)
        numbers = rows
    with np.errstate(over="ignore"):
        # llama.cpp's converter goes over float32, also for BF16 and from float64.
        numbers = numbers if source == "F16" and target == "F16" else numbers.astype("<f4", copy=False)
        if target == "BF16":
            bits = numbers.view("<u4")
            bits = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
            encoded: NDArray[Any] = bits.astype("<u2")
            overflow = encoded.size and int((encoded & 0x7FFF).max()) >= 0x7F80
        else:
            encoded = numbers.astype("<f2" if target == "F16" else "<f4", copy=False)
            overflow = not np.isfinite(encoded).all()
    if overflow:
        raise ModelFileError(
            f"The tensor {name!r} does not fit {target}.",
            "One of its numbers is too large.",
            "Choose a type with a wider range: --outtype bf16 or f32.",
        )
    return encoded


def _not_finite(name: str) -> ModelFileError:
    return ModelFileError(
        f"The tensor {name!r} is damaged.", "One of its numbers is NaN or infinite.", "Download the model again."
    )
