import json
import random
import struct
import threading

import pytest

from pajamas.errors import ModelFileError
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import SafetensorsEntry, read_tensors, weight_files

TENSORS = {"a.weight": ("BF16", (4, 8)), "b.weight": ("F32", (3,)), "c.scale": ("F8_E4M3", (2, 2)), "d": ("I64", ())}


def _raw(header, data=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def _entry(shape=(2,), dtype="F32", offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_single_file(tmp_path, write_model):
    found = read_tensors(LocalFiles(write_model(tmp_path, {}, TENSORS)))

    start = (tmp_path / "model.safetensors").stat().st_size - 64 - 12 - 4 - 8
    assert list(found) == list(TENSORS)
    assert found["b.weight"] == SafetensorsEntry("b.weight", (3,), "F32", "model.safetensors", start + 64, 12)


def test_agrees_with_the_safetensors_library(tmp_path):
    numpy = pytest.importorskip("numpy")
    library = pytest.importorskip("safetensors.numpy")
    arrays = {f"t{n}": numpy.arange(n * 3, dtype=numpy.float16).reshape(n, 3) for n in range(1, 6)}
    library.save_file(arrays, tmp_path / "model.safetensors")
    files = LocalFiles(tmp_path)

    found = read_tensors(files)

    assert set(found) == set(arrays)
    for name, entry in found.items():
        assert files.read(entry.file, entry.offset, entry.size) == arrays[name].tobytes()


def test_shards(tmp_path, write_model):
    files = LocalFiles(write_model(tmp_path, {}, TENSORS, shards=3))

    found = read_tensors(files)

    assert set(found) == set(TENSORS)
    assert found["b.weight"].file == "model-00002-of-00003.safetensors"
    assert len(weight_files(files)) == 3


class _FarShards:
    """Files far away. The first read of a shard ends only when `count` shards are being read."""

    def __init__(self, files, count):
        self._files = files
        self._barrier = threading.Barrier(count)
        self.origin, self.sizes = files.origin, files.sizes

    def read(self, name, offset=0, length=None):
        if name.endswith(".safetensors") and offset == 0:
            self._barrier.wait(timeout=30)
        return self._files.read(name, offset, length)

    def local_path(self, name):
        return None


def test_shards_far_away_are_read_at_once(tmp_path, write_model):
    files = LocalFiles(write_model(tmp_path, {}, TENSORS, shards=4))

    found = read_tensors(_FarShards(files, 4))

    assert list(found.items()) == list(read_tensors(files).items())


def test_missing_shard_is_named(tmp_path, write_model):
    write_model(tmp_path, {}, TENSORS, shards=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()

    with pytest.raises(ModelFileError, match="incomplete") as caught:
        read_tensors(LocalFiles(tmp_path))
    assert "model-00002-of-00003.safetensors" in str(caught.value)


def test_tensor_that_the_index_promises_and_no_shard_holds(tmp_path, write_model):
    write_model(tmp_path, {}, TENSORS, shards=2)
    path = tmp_path / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["e"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))

    with pytest.raises(ModelFileError, match="'e' is not in it"):
        read_tensors(LocalFiles(tmp_path))


def test_tensor_in_two_shards_belongs_to_the_one_of_the_index(tmp_path, write_model):
    write_model(tmp_path, {}, TENSORS, shards=2)
    write_model(tmp_path / "other", None, {"a.weight": ("BF16", (1,)), "b.weight": ("F32", (3,)), "d": ("I64", ())})
    (tmp_path / "other" / "model.safetensors").rename(tmp_path / "model-00002-of-00002.safetensors")

    assert read_tensors(LocalFiles(tmp_path))["a.weight"].shape == (4, 8)


@pytest.mark.parametrize(
    "index", [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": {"a": 1}}, {"weight_map": {"a": "../x"}}]
)
def test_damaged_index(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(ModelFileError):
        read_tensors(LocalFiles(tmp_path))


def test_no_weights_are_no_error(tmp_path):
    assert read_tensors(LocalFiles(tmp_path)) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 1 << 63),
        struct.pack("<Q", 2) + b"{",
        _raw(b"[]"),
        _raw(b"not json"),
        _raw({"a": 3}, bytes(8)),
        _raw({"a": {}}, bytes(8)),
        _raw({"a": _entry(dtype="F33")}, bytes(8)),
        _raw({"a": _entry(dtype=["F32"])}, bytes(8)),
        _raw({"a": _entry(shape=(3,))}, bytes(8)),
        _raw({"a": _entry(shape=(-2,))}, bytes(8)),
        _raw({"a": _entry(shape=(-1, -2))}, bytes(8)),
        _raw({"a": _entry(shape=("2",))}, bytes(8)),
        _raw({"a": _entry(shape=(2.0,))}, bytes(8)),
        _raw({"a": _entry(shape=(True, 2))}, bytes(8)),
        _raw({"a": _entry(shape="2")}, bytes(8)),
        _raw({"a": _entry(shape=[1 << 62] * 60)}, bytes(8)),
        _raw({"a": _entry(offsets=(8, 0))}, bytes(8)),
        _raw({"a": _entry(offsets=(0, 8, 9))}, bytes(8)),
        _raw({"a": _entry(offsets=(4, 12))}, bytes(12)),
        _raw({"a": _entry()}, bytes(7)),
        _raw({"a": _entry()}, bytes(9)),
        _raw({"a": _entry(), "b": _entry()}, bytes(8)),
        _raw({"a": _entry(), "b": _entry(offsets=(4, 12))}, bytes(12)),
        _raw({"a": _entry(), "b": _entry(offsets=(4, 12))}, bytes(16)),
        _raw(b'{"a":' * 50_000),
    ],
)
def test_hostile_headers(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelFileError):
        read_tensors(LocalFiles(tmp_path))


def test_header_that_claims_a_sparse_terabyte_is_refused_unread(tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", 1 << 39))
        stream.truncate(1 << 40)

    with pytest.raises(ModelFileError, match="header is said to take"):
        read_tensors(LocalFiles(tmp_path))


def test_truncation_at_every_byte(tmp_path, write_model):
    content = (write_model(tmp_path, {}, TENSORS) / "model.safetensors").read_bytes()
    for length in range(len(content)):
        (tmp_path / "model.safetensors").write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            read_tensors(LocalFiles(tmp_path))


def test_flipped_bits_give_a_sound_header_or_the_error(tmp_path, write_model):
    content = (write_model(tmp_path, {}, TENSORS) / "model.safetensors").read_bytes()
    chance = random.Random(0)
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(content) - 88)] ^= 1 << chance.randrange(8)
        (tmp_path / "model.safetensors").write_bytes(damaged)
        try:
            entries = read_tensors(LocalFiles(tmp_path)).values()
        except ModelFileError:
            outcomes.add("error")
        else:
            outcomes.add("sound")
            assert all(0 < entry.offset <= entry.offset + entry.size <= len(content) for entry in entries)

    assert outcomes == {"error", "sound"}
