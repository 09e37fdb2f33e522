"""Headers of safetensors files: names, shapes, dtypes and places of tensors, strictly checked.

Format: https://github.com/huggingface/safetensors#format - eight bytes (little-endian u64) with the header's length,
the header (a JSON object), then the tensors' bytes without holes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeGuard

from attrs import frozen

from pajamas import hub_files
from pajamas.errors import ModelFileError
from pajamas.hub_files import INDEX, SINGLE
from pajamas.modelfiles import ModelFiles, parse_json, read_json

# The reference implementation allows 100 MB; a quarter of a million tensors fit in this.
_MAX_HEADER = 32 << 20
_FIRST_WINDOW = 256 << 10  # holds the header of most files: one request over the network
_AT_ONCE = 8

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""Bits of one element, by safetensors' name of the dtype."""


@frozen
class SafetensorsEntry:
    """One tensor: its shape in row-major order, and `size` bytes from `offset` of the whole file `file`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: str
    offset: int
    size: int


def weight_files(files: ModelFiles) -> tuple[str, ...]:
    """Names of the safetensors files that make up the model, sorted; empty if it has none.

    Chosen as `hub_files.weight_files` does.

    Raises:
        ModelFileError: the index is damaged, or names a file that is not there.
    """
    index = files.read(INDEX) if _sharded(files) else None
    names = hub_files.weight_files(files.sizes(), index, files.origin)
    hub_files.check_complete(names, files.sizes(), files.origin)
    return tuple(names)


def read_tensors(files: ModelFiles) -> dict[str, SafetensorsEntry]:
    """Every tensor of a model by name, from one safetensors file or the shards of its index; empty if it has none.

    Only headers are read, so this works over the network.

    Raises:
        ModelFileError: a header is damaged, truncated or hostile, a shard is missing, or shards contradict the index.
    """
    names = weight_files(files)
    weight_map = _weight_map(files) if _sharded(files) else {}
    found: dict[str, SafetensorsEntry] = {}
    for file, entries in zip(names, _headers(files, names), strict=True):
        for entry in entries:
            owner = weight_map.get(entry.name, file)
            if entry.name in found and owner == file:
                raise _broken(files, file, f"tensor {entry.name!r} is in {found[entry.name].file} too")
            if owner == file:
                found[entry.name] = entry
    missing = next((name for name in weight_map if name not in found), None)
    if missing is not None:
        raise _broken(files, weight_map[missing], f"tensor {missing!r} is not in it, though the index says so")
    return found


def _headers(files: ModelFiles, names: tuple[str, ...]) -> Iterator[list[SafetensorsEntry]]:
    """Each file's tensors. Far away a header costs several round trips, and a large model has a hundred files."""
    read = partial(read_file_header, files)
    if len(names) < 2 or all(files.local_path(name) is not None for name in names):
        yield from map(read, names)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        requests = [pool.submit(read, name) for name in names]
        try:
            yield from (request.result() for request in requests)
        finally:  # after an error: not a hundred requests more
            pool.shutdown(cancel_futures=True)


def read_file_header(files: ModelFiles, file: str) -> list[SafetensorsEntry]:
    """The tensors of one file, by their place in it.

    Raises:
        ModelFileError: the header is damaged, truncated or hostile, or the file has not the size that it states.
    """
    total = files.sizes().get(file)
    if total is None:
        raise ModelFileError(f"{file} of {files.origin} is missing", "", "download the model again")
    if total < 8:
        raise _broken(files, file, f"it has {total} bytes")
    begin = files.read(file, 0, min(total, _FIRST_WINDOW))
    length = int.from_bytes(begin[:8], "little")
    if length > _MAX_HEADER or 8 + length > total:
        raise _broken(files, file, f"its header is said to take {length:,} bytes of {total:,}")
    if 8 + length > len(begin):
        begin += files.read(file, len(begin), 8 + length - len(begin))
    header = parse_json(begin[8 : 8 + length], f"the header of {file}", files.origin)
    header.pop("__metadata__", None)
    start = 8 + length
    entries = sorted(
        (_entry(files, file, name, value, start) for name, value in header.items()),
        key=lambda entry: (entry.offset, entry.size),
    )
    end = start
    for entry in entries:
        if entry.offset != end:
            raise _broken(files, file, f"tensor {entry.name!r} overlaps its neighbour or leaves a hole")
        end += entry.size
    if end != total:
        raise _broken(files, file, f"its tensors end at byte {end:,}, but it has {total:,} bytes")
    return entries


def _entry(files: ModelFiles, file: str, name: str, value: Any, start: int) -> SafetensorsEntry:
    if not isinstance(value, dict):
        raise _broken(files, file, f"tensor {name!r} is not described by an object")
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise _broken(files, file, f"tensor {name!r} has an unknown dtype {dtype!r}"[:200])
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise _broken(files, file, f"tensor {name!r} has no proper shape and data_offsets")
    begin, end = offsets
    # Checked before the product is taken: Python's integers would grow without end.
    if len(shape) > 64 or begin > end or math.prod(shape) * DTYPE_BITS[dtype] != (end - begin) * 8:
        raise _broken(files, file, f"tensor {name!r}: its shape does not fit its bytes")
    return SafetensorsEntry(name, tuple(shape), dtype, file, start + begin, end - begin)


def _sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _sharded(files: ModelFiles) -> bool:
    return INDEX in files.sizes() and SINGLE not in files.sizes()


def _weight_map(files: ModelFiles) -> dict[str, str]:
    index = read_json(files, INDEX) or {}
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise _broken(files, INDEX, "it has no weight_map")
    return weight_map


def _broken(files: ModelFiles, file: str, why: str) -> ModelFileError:
    return ModelFileError(f"{file} of {files.origin} is damaged", why[:500], "download the model again")
