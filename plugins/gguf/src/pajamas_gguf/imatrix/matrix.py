"""An importance matrix: how large the inputs of each weight matrix are, column by column, and the files that hold it.

Formats: llama.cpp's tools/imatrix/imatrix.cpp (save_imatrix writes GGUF, save_imatrix_legacy the older .dat) and
common/imatrix-loader.cpp, as of llama-cpp-python 0.3.36.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from pajamas.errors import ModelFileError, PajamasError
from pajamas.gguf_header import GGUFTensor, read_header
from pajamas.modelfiles import LocalFiles

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS, _CHUNKS, _CHUNK_SIZE = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
_GGUF = b"GGUF"
_LONGEST_NAME = 4096


@frozen
class Entry:
    """One weight matrix; of a mixture of experts one for each expert."""

    sums: NDArray[np.float32]
    """[matrices, columns]: sums of the squares of the inputs."""
    counts: NDArray[np.float32]
    """[matrices]: how many inputs were summed; a single count may stand for all matrices."""

    def means(self) -> NDArray[np.float32]:
        """[matrices, columns]; 1 where nothing was counted, as llama.cpp's quantizer has it."""
        counts = np.broadcast_to(self.counts[:, None], (len(self.sums), 1))
        return np.where(counts > 0, self.sums / np.maximum(counts, np.float32(1)), np.float32(1)).astype(np.float32)


@frozen(kw_only=True)
class ImportanceMatrix:
    entries: Mapping[str, Entry]
    """By the name of the weights' tensor."""
    datasets: tuple[str, ...] = ()
    """Names of the texts that it was computed on."""
    chunks: int = 0
    chunk_size: int = 0
    """Tokens of a chunk; 0 in a file of the older format, which does not say."""
    legacy: bool = field(default=False)

    @property
    def partial(self) -> Mapping[str, int]:
        """Tensors of which some matrices (experts) saw no input, and how many."""
        found = {name: int(np.count_nonzero(entry.counts == 0)) for name, entry in self.entries.items()}
        return {name: count for name, count in found.items() if count}


def write_matrix(path: Path, matrix: ImportanceMatrix) -> None:
    """Write llama.cpp's GGUF format: the same matrix makes the same bytes."""
    from gguf import GGUFWriter

    # The writer adds an architecture unless it is empty; llama.cpp's own files have none.
    writer = GGUFWriter(path, "")
    writer.kv_data[0].pop("general.architecture", None)
    writer.add_string("general.type", "imatrix")
    writer.add_array(_DATASETS, list(matrix.datasets))
    writer.add_uint32(_CHUNKS, matrix.chunks)
    writer.add_uint32(_CHUNK_SIZE, matrix.chunk_size)
    for name in sorted(matrix.entries):
        entry = matrix.entries[name]
        # ggml states no dimension of one that has none after it.
        single = len(entry.counts) == 1
        writer.add_tensor(
            name + _SUMS, np.ascontiguousarray(entry.sums.ravel() if len(entry.sums) == 1 else entry.sums)
        )
        writer.add_tensor(name + _COUNTS, np.ascontiguousarray(entry.counts if single else entry.counts[:, None]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_matrix(path: Path) -> ImportanceMatrix:
    """Read a file of either format, whoever made it.

    Raises:
        ModelFileError: it is not there, damaged, or no importance matrix.
    """
    try:
        with path.open("rb") as stream:
            is_gguf = stream.read(len(_GGUF)) == _GGUF
        matrix = _read_gguf(path) if is_gguf else _read_legacy(path)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read.", error.strerror or str(error), "Check the path.") from error
    for name, entry in matrix.entries.items():
        if not (np.isfinite(entry.sums).all() and np.isfinite(entry.counts).all()):
            raise _bad(path, f"{name} holds a value that is not finite")
        if (entry.sums < 0).any() or (entry.counts < 0).any():
            raise _bad(path, f"{name} holds a negative value")
    return matrix


def _read_gguf(path: Path) -> ImportanceMatrix:
    header = read_header(LocalFiles(path), path.name)
    kind = header.metadata.get("general.type")
    if kind != "imatrix":
        raise _bad(path, f"its general.type is {kind!r}")
    tensors = {tensor.name: tensor for tensor in header.tensors}
    entries = {}
    with path.open("rb") as stream:
        for name, tensor in tensors.items():
            base = name.removesuffix(_SUMS)
            if base == name:
                if name.endswith(_COUNTS) and name.removesuffix(_COUNTS) + _SUMS not in tensors:
                    raise _bad(path, f"{name} has no sums")
                continue
            counts = tensors.get(base + _COUNTS)
            if counts is None:
                raise _bad(path, f"{name} has no counts")
            entries[base] = _entry(
                path,
                base,
                _values(path, stream, tensor),
                _values(path, stream, counts),
            )
    if not entries:
        raise _bad(path, "it has no entries")
    datasets = header.metadata.get(_DATASETS, ())
    return ImportanceMatrix(
        entries=entries,
        datasets=tuple(text for text in datasets if isinstance(text, str)) if isinstance(datasets, tuple) else (),
        chunks=_number(header.metadata.get(_CHUNKS)),
        chunk_size=_number(header.metadata.get(_CHUNK_SIZE)),
    )


def _values(path: Path, stream: Any, tensor: GGUFTensor) -> NDArray[np.float32]:
    if tensor.type != "F32":
        raise _bad(path, f"{tensor.name} is {tensor.type}, not F32")
    stream.seek(tensor.offset)
    data = stream.read(tensor.size)
    if len(data) != 4 * math.prod(tensor.shape) or not data:
        raise _bad(path, f"{tensor.name} is cut off")
    return np.frombuffer(data, "<f4").astype(np.float32)


def _entry(path: Path, name: str, sums: NDArray[np.float32], counts: NDArray[np.float32]) -> Entry:
    if len(sums) % len(counts):
        raise _bad(path, f"{name} has {len(sums)} sums for {len(counts)} counts")
    return Entry(sums.reshape(len(counts), -1), np.rint(counts))


def _number(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _read_legacy(path: Path) -> ImportanceMatrix:
    """int32 entries; each int32 length, name, int32 calls, int32 values, float32 values; then chunks and dataset.

    The values are means times calls, so that means come out right, whatever unit the calls have.
    """
    data = path.read_bytes()
    place = 0

    def take(size: int) -> bytes:
        nonlocal place
        if size < 0 or place + size > len(data):
            raise _bad(path, "it is cut off, or neither of the two formats")
        place += size
        return data[place - size : place]

    def integer() -> int:
        return int(struct.unpack("<i", take(4))[0])

    entries = {}
    count = integer()
    if count < 1:
        raise _bad(path, "it has no entries")
    for _ in range(count):
        length = integer()
        if not 0 < length <= _LONGEST_NAME:
            raise _bad(path, "it is neither of the two formats")
        try:
            name = take(length).decode()
        except UnicodeDecodeError as error:
            raise _bad(path, "it is neither of the two formats") from error
        calls, size = integer(), integer()
        if size < 1:
            raise _bad(path, f"{name} has no values")
        values = np.frombuffer(take(4 * size), "<f4").astype(np.float32)
        # Without calls the values stand for themselves (llama-quantize's load_imatrix).
        entries[name] = Entry(values[None], np.array([max(calls, 1)], np.float32))
    chunks = 0
    datasets: tuple[str, ...] = ()
    if place < len(data):
        chunks = max(integer(), 0)
        if place < len(data) and (text := take(integer()).decode("utf-8", "replace")):
            datasets = (text,)
    return ImportanceMatrix(entries=entries, datasets=datasets, chunks=chunks, legacy=True)


def _bad(path: Path, why: str) -> PajamasError:
    return ModelFileError(
        f"{path} is no importance matrix.",
        f"{why[0].upper()}{why[1:]}.",
        "Give a file that llama-imatrix or pajamas made.",
    )
