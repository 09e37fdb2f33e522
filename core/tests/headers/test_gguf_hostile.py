"""GGUF headers that lie: counts, sizes and offsets are checked before they are used."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from gguf_files import read, write
from pajamas.errors import ModelFileError


def _counts(tensors, keys, version=3, magic=b"GGUF"):
    return struct.pack("<4sIQQ", magic, version, tensors, keys)


HUGE = (1 << 63) - 1
HOSTILE = {
    "other-magic": _counts(0, 0, magic=b"GGML"),
    "version-0": _counts(0, 0, version=0),
    "version-1": _counts(0, 0, version=1),
    "version-4": _counts(0, 0, version=4),
    "big-endian": struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
    "many-tensors": _counts(HUGE, 0) + bytes(4096),
    "many-keys": _counts(0, HUGE) + bytes(4096),
    "endless-key": _counts(0, 1) + struct.pack("<Q", HUGE) + bytes(4096),
    "empty-key": _counts(0, 1) + struct.pack("<QII", 0, 4, 7) + bytes(4096),
    "key-not-utf-8": _counts(0, 1) + struct.pack("<Q1sII", 1, b"\xff", 4, 7) + bytes(4096),
    "unknown-kind": _counts(0, 1) + struct.pack("<Q1sII", 1, b"k", 13, 7) + bytes(4096),
    "endless-text": _counts(0, 1) + struct.pack("<Q1sIQ", 1, b"k", 8, HUGE) + bytes(4096),
    "endless-array": _counts(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 4, HUGE) + bytes(4096),
    "endless-array-of-texts": _counts(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, HUGE) + bytes(4096),
    "array-of-arrays": _counts(0, 1) + struct.pack("<Q1sIIQIQ", 1, b"k", 9, 9, 1, 9, 1) + bytes(4096),
    "array-of-unknown": _counts(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 99, 1) + bytes(4096),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_beginnings(tmp_path, content):
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            read(write(tmp_path, content))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_big_endian_is_refused_by_name(tmp_path):
    with pytest.raises(ModelFileError, match="big-endian"):
        read(write(tmp_path, HOSTILE["big-endian"]))


@pytest.mark.parametrize(
    ("kind", "count"), [(0, 1 << 40), (4, 1 << 36), (8, 1 << 35), (8, 3 << 20)], ids=["u8", "u32", "texts", "zeros"]
)
def test_sparse_file_cannot_make_a_large_allocation(tmp_path, kind, count):
    path = write(tmp_path, _counts(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, kind, count))
    with path.open("r+b") as stream:
        stream.truncate(1 << 41)

    if count == 3 << 20:  # a long array of empty texts is sound, and bounded
        assert len(read(path).metadata["k"]) == count
    else:
        with pytest.raises(ModelFileError, match="claims an array"):
            read(path)


def test_header_larger_than_any_real_one_is_refused(tmp_path):
    size = 15 << 20
    path = write(tmp_path, _counts(0, 9))
    with path.open("r+b") as stream:
        stream.seek(0, 2)
        for number in range(9):  # each is allowed, together they are not
            stream.write(struct.pack("<QcIQ", 1, b"%d" % number, 8, size))
            stream.seek(size, 1)
        stream.truncate()

    with pytest.raises(ModelFileError, match="larger than"):
        read(path)


def _info(name=b"w", shape=(4,), kind=0, offset=0):
    described = struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return described + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize(
    "tensors",
    [
        [_info(shape=(1 << 62,))],
        [_info(shape=(1 << 32, 1 << 32))],
        [_info(shape=((1 << 64) - 1,) * 4)],
        [_info(shape=(4,) * 5)],
        [_info(shape=(33,), kind=2)],
        [_info(kind=4)],
        [_info(kind=1 << 31)],
        [_info(offset=32)],
        [_info(offset=(1 << 64) - 1)],
        [_info(name=b"w" * 65)],
        [_info(name=b"\xff")],
        [_info(name=b"w\0v")],
        [_info(), _info(offset=32)],
        [_info(), _info(name=b"v", offset=0)],
        [_info(), _info(name=b"v", offset=16)],
        [_info(), _info(name=b"v", offset=64)],
        [_info(shape=(4096,))],
    ],
)
def test_hostile_tensors(tmp_path, tensors):
    content = _counts(len(tensors), 0) + b"".join(tensors) + bytes(4096)

    with pytest.raises(ModelFileError):
        read(write(tmp_path, content))


def test_sound_tensors_of_the_same_making_are_read(tmp_path):
    content = _counts(2, 0) + _info() + _info(name=b"v", offset=32) + bytes(4096)

    assert len(read(write(tmp_path, content)).tensors) == 2
