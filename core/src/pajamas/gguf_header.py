"""Headers of GGUF files: metadata and tensor descriptions, strictly checked, without an engine or numpy.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Where llama.cpp's own reader (ggml/src/gguf.cpp) is
stricter than that text (no nested arrays, tensors in order and without holes), so is this one.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError
from pajamas.modelfiles import ModelFiles

GGML_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
"""Tensor type number (enum ggml_type) to its name, the elements of one block and the bytes of one block."""

_FIRST_WINDOW = 4 << 20  # holds the whole header of most models: one request over the network
# A sparse file can state any size, so sizes alone do not bound the work. Largest real header: about 20 MB.
_MAX_HEADER = 128 << 20
_MAX_TEXT = 16 << 20  # one text, such as a chat template
_MAX_ELEMENTS = 4 << 20  # of all arrays together; vocabulary, scores, types and merges of Gemma are 1.3 million
_MAX_TENSORS = 1 << 18
_MAX_KEYS = 1 << 16
_MAX_NAME = 64
_UINT32, _BOOL, _STRING, _ARRAY = 4, 7, 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LENGTH = struct.Struct("<Q")
_SPLIT = re.compile(r"(?P<prefix>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


@frozen
class GGUFTensor:
    """One tensor: its shape in row-major (numpy) order, and `size` bytes from `offset` of the whole file `file`."""

    name: str
    shape: tuple[int, ...]
    type: str
    file: str
    offset: int
    size: int


@frozen
class GGUFHeader:
    """What stands before the tensors' data, which begins at byte `data_offset`.

    Metadata values are int, float, bool, str, or a tuple of one of these. Text that is not UTF-8 has U+FFFD in it.
    """

    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[GGUFTensor, ...]
    data_offset: int


def read_header(files: ModelFiles, name: str) -> GGUFHeader:
    """The header of one GGUF file (version 2 or 3), read by growing ranges from its beginning.

    Raises:
        ModelFileError: it is not GGUF, or damaged, truncated or hostile, or of a kind that nothing here reads:
            version 1, a newer version, big-endian.
    """
    reader = _Reader(files, name)
    version = _version(reader)
    tensor_count, key_count = reader.scalar("Q"), reader.scalar("Q")
    # The shortest description of a tensor takes 24 bytes, the shortest key with its value 13.
    if tensor_count > min(_MAX_TENSORS, reader.size // 24) or key_count > min(_MAX_KEYS, reader.size // 13):
        raise reader.broken(f"it claims {tensor_count:,} tensors and {key_count:,} keys")
    metadata: dict[str, Any] = {}
    alignment = 32
    for _ in range(key_count):
        key = reader.name(1 << 16)
        kind = reader.scalar("I")
        if not key or key in metadata:
            raise reader.broken(f"the key {key[:100]!r} is empty or there twice")
        metadata[key] = reader.array() if kind == _ARRAY else reader.value(kind)
        if key == "general.alignment":
            alignment = metadata[key]
            if kind != _UINT32 or alignment == 0 or alignment & (alignment - 1):
                raise reader.broken(f"its alignment {alignment!r} is not a power of two")
    described = [_tensor(reader) for _ in range(tensor_count)]
    if len({name for name, *_ in described}) != tensor_count:
        raise reader.broken("two tensors have the same name")
    data_offset = -(-reader.position // alignment) * alignment if described else reader.position
    tensors, place = [], 0
    for tensor_name, shape, type_name, size, offset in described:
        if offset != place:
            raise reader.broken(f"tensor {tensor_name!r} begins at {offset:,} instead of {place:,}")
        if data_offset + place + size > reader.size:
            raise reader.broken(f"tensor {tensor_name!r} ends at byte {data_offset + place + size:,}")
        tensors.append(GGUFTensor(tensor_name, shape, type_name, name, data_offset + place, size))
        place += -(-size // alignment) * alignment
    return GGUFHeader(version, metadata, tuple(tensors), data_offset)


def read_split(files: ModelFiles, name: str) -> GGUFHeader:
    """The header of a model that may be split over several files: `name` is the file, or any of its parts.

    Metadata, version and data offset are the first part's, tensors are those of all parts in order.

    Raises:
        ModelFileError: as `read_header`; a part is missing, or the parts do not belong together.
    """
    names = split_names(name)
    missing = [part for part in names if part not in files.sizes()]
    if missing:
        raise ModelFileError(
            f"{files.origin} is incomplete", f"{len(missing)} of {len(names)} parts are missing: {missing[0]}, ...",
            "download all parts into one folder",
        )  # fmt: skip
    headers = [read_header(files, part) for part in names]
    for number, (part, header) in enumerate(zip(names, headers, strict=True)):
        # llama.cpp writes a count of 0 when it merges parts into one file.
        stated = header.metadata.get("split.no", 0), header.metadata.get("split.count", 0) or 1
        if stated != (number, len(names)):
            why = f"it says it is part {stated[0]!r}, counted from 0, of {stated[1]!r}"
            raise ModelFileError(f"{part} of {files.origin} is not the part that its name says", why, "rename it back")
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise ModelFileError(f"the parts of {names[0]} do not belong together", "two hold the same tensor", "")
    return GGUFHeader(headers[0].version, headers[0].metadata, tensors, headers[0].data_offset)


def split_names(name: str) -> tuple[str, ...]:
    """The names of all parts, if `name` is one part (`X-00002-of-00003.gguf`) of a split model; else only `name`."""
    match = _SPLIT.fullmatch(name)
    count = int(match["count"]) if match else 0
    if match is None or not 1 <= int(match["part"]) <= count <= 10_000:
        return (name,)
    return tuple(f"{match['prefix']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))


class _Reader:
    """Reads values in order from a growing window at the file's beginning. Nothing is read past the file's end."""

    def __init__(self, files: ModelFiles, name: str) -> None:
        size = files.sizes().get(name)
        if size is None:
            raise ModelFileError(f"{name} of {files.origin} is missing", "", "download the model again")
        self._files = files
        self._name = name
        self._window = b""
        self._elements = 0
        self.size = size
        self.position = 0

    def broken(self, why: str) -> ModelFileError:
        return ModelFileError(f"{self._name} is not a sound GGUF file", why, "download it again")

    def take(self, length: int) -> int:
        """Step over `length` bytes and return where they begin; they are in the window then."""
        begin, end = self.position, self.position + length
        if end > self.size:
            raise self.broken(f"it is truncated: {end:,} bytes are needed, but it has {self.size:,}")
        if end > _MAX_HEADER:
            raise self.broken(f"its header is larger than {_MAX_HEADER >> 20} MiB")
        if end > len(self._window):
            wanted = min(max(end, 2 * len(self._window), _FIRST_WINDOW), self.size)
            self._window += self._files.read(self._name, len(self._window), wanted - len(self._window))
            if len(self._window) != wanted:
                raise self.broken(f"it ended at byte {len(self._window):,} of {self.size:,}")
        self.position = end
        return begin

    def scalar(self, code: str) -> Any:
        form = f"<{code}"
        begin = self.take(struct.calcsize(form))
        return struct.unpack_from(form, self._window, begin)[0]

    def bytes(self, limit: int) -> bytes:
        length = self.scalar("Q")
        if length > limit:
            raise self.broken(f"it holds a text of {length:,} bytes")
        begin = self.take(length)
        return self._window[begin : begin + length]

    def name(self, limit: int) -> str:
        try:
            found = self.bytes(limit).decode()
        except UnicodeDecodeError as error:
            raise self.broken("one of its names is not UTF-8") from error
        if "\0" in found:  # the engine would end it there
            raise self.broken("one of its names holds a NUL")
        return found

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.bytes(_MAX_TEXT).decode(errors="replace")
        return self.scalar(self._code(kind))

    def array(self) -> tuple[Any, ...]:
        kind, count = self.scalar("I"), self.scalar("Q")
        self._elements += count
        if self._elements > _MAX_ELEMENTS:
            raise self.broken(f"it claims an array of {count:,} elements")
        if kind == _STRING:
            return self._texts(count)
        form = f"<{count}{self._code(kind)}"
        begin = self.take(struct.calcsize(form))
        return struct.unpack_from(form, self._window, begin)

    def _texts(self, count: int) -> tuple[str, ...]:
        """`count` texts. A vocabulary has hundreds of thousands, so the window is asked to grow only where it must."""
        found = []
        for _ in range(count):
            begin = self.position + 8
            if begin <= len(self._window) and (
                end := begin + _LENGTH.unpack_from(self._window, self.position)[0]
            ) <= len(self._window):
                found.append(str(self._window[begin:end], errors="replace"))
                self.position = end
            else:
                found.append(self.value(_STRING))
        return tuple(found)

    def _code(self, kind: int) -> str:
        code = _SCALARS.get(kind)
        if code is None:
            raise self.broken("it holds an array of arrays" if kind == _ARRAY else f"it has a value of type {kind}")
        return code


def _version(reader: _Reader) -> int:
    begin = bytes(reader.scalar("B") for _ in range(4))
    if begin != b"GGUF":
        raise reader.broken("it does not begin with GGUF")
    version: int = reader.scalar("I")
    if version & 0xFFFF == 0 and version != 0:
        raise ModelFileError("big-endian GGUF files are not supported", "", "use a little-endian one")
    if version == 0:
        raise reader.broken("its version is 0")
    if version not in (2, 3):
        fix = "convert the model again" if version == 1 else "update pajamas"
        raise ModelFileError(f"GGUF version {version} is not supported", "versions 2 and 3 are", fix)
    return version


def _tensor(reader: _Reader) -> tuple[str, tuple[int, ...], str, int, int]:
    """Name, row-major shape, type, size in bytes and offset from the data's beginning."""
    name = reader.name(_MAX_NAME)
    dimensions = reader.scalar("I")
    if dimensions > 4:
        raise reader.broken(f"tensor {name!r} has {dimensions:,} dimensions")
    shape = tuple(reader.scalar("Q") for _ in range(dimensions))
    kind, offset = reader.scalar("I"), reader.scalar("Q")
    type_name, block, block_size = GGML_TYPES.get(kind, ("", 0, 0))
    if not block:
        raise reader.broken(f"tensor {name!r} has the unknown type {kind}")
    count = math.prod(shape)
    if (shape[0] if shape else 1) % block:
        raise reader.broken(f"tensor {name!r} of type {type_name} has the impossible shape {shape}")
    return name, shape[::-1], type_name, count // block * block_size, offset
