import random
import struct
import tracemalloc

import pytest

from pajamas.errors import ModelFileError
from pajamas.gguf_header import GGML_TYPES, GGUFTensor, read_header, read_split, split_names
from pajamas.modelfiles import LocalFiles

Q4_K = 12


@pytest.fixture
def small(gguf):
    return (
        gguf()
        .set("general.architecture", "llama")
        .set("llama.block_count", 2)
        .set("tokenizer.ggml.tokens", ["<s>", "a", "é"])
        .set("tokenizer.ggml.token_type", [3, 1, 1])
        .set("flag", True)
        .set("scale", 0.5)
        .tensor("token_embd.weight", (3, 256), Q4_K)
        .tensor("output_norm.weight", (5,))
    )


def _read(path):
    return read_header(LocalFiles(path), path.name)


def _write(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_values_and_tensors(tmp_path, small, version):
    small.version = version

    header = _read(small.write(tmp_path / "x.gguf"))

    assert header.version == version
    assert dict(header.metadata) == {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "tokenizer.ggml.tokens": ("<s>", "a", "é"),
        "tokenizer.ggml.token_type": (3, 1, 1),
        "flag": True,
        "scale": 0.5,
    }
    start = header.data_offset
    assert start % 32 == 0
    assert header.tensors == (
        GGUFTensor("token_embd.weight", (3, 256), "Q4_K", "x.gguf", start, 432),
        GGUFTensor("output_norm.weight", (5,), "F32", "x.gguf", start + 448, 20),
    )


def test_agrees_with_gguf_py_on_a_real_file(shared):
    library = pytest.importorskip("gguf")
    path = shared / "vocab" / "ggml-vocab-llama-spm.gguf"
    reader = library.GGUFReader(path)

    header = _read(path)

    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert header.metadata.keys() == fields.keys()
    for key, value in header.metadata.items():
        assert (list(value) if isinstance(value, tuple) else value) == fields[key].contents(), key


def test_large_real_vocabulary(shared):
    metadata = _read(shared / "vocab" / "ggml-vocab-qwen2.gguf").metadata

    tokens, merges = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.merges"]
    assert (len(tokens), len(merges)) == (151936, 151387)
    assert (tokens[0], tokens[151643], merges[0]) == ("!", "<|endoftext|>", "Ġ Ġ")


def test_type_table_is_that_of_gguf_py():
    library = pytest.importorskip("gguf")
    expected = {int(kind): (kind.name, *sizes) for kind, sizes in library.GGML_QUANT_SIZES.items()}
    del expected[9]  # gguf-py has Q8_1 wrong (ggml-common.h: two halves and 32 bytes); no file holds it

    assert {kind: GGML_TYPES[kind] for kind in expected} == expected


class Memory:
    """A file in memory: fuzzing is quicker without a disk."""

    origin = "memory"

    def __init__(self, content):
        self._content = bytes(content)

    def sizes(self):
        return {"x.gguf": len(self._content)}

    def read(self, name, offset=0, length=None):
        return self._content[offset:][:length]

    def local_path(self, name):
        return None


class Ranges:
    """Files that are far away: notes what is read."""

    origin = "far away"

    def __init__(self, path):
        self._files = LocalFiles(path)
        self.read_up_to = 0

    def sizes(self):
        return self._files.sizes()

    def read(self, name, offset=0, length=None):
        assert length is not None, "weights may not be read"
        self.read_up_to = max(self.read_up_to, offset + length)
        return self._files.read(name, offset, length)

    def local_path(self, name):
        return None


def test_only_the_beginning_is_read_and_the_window_grows(tmp_path, gguf):
    words = [f"{number:0>50}" for number in range(100_000)]
    builder = gguf().set("tokenizer.ggml.tokens", words).tensor("w", (1 << 16, 1 << 16))
    files = Ranges(builder.write(tmp_path / "x.gguf"))

    header = read_header(files, "x.gguf")

    assert header.metadata["tokenizer.ggml.tokens"][-1] == words[-1]
    assert header.data_offset < files.read_up_to < 2 * header.data_offset


def test_truncation_at_every_byte(tmp_path, small):
    content = small.write(tmp_path / "x.gguf").read_bytes()
    end = len(content) - 12  # the last tensor's padding may be missing
    for length in range(end):
        with pytest.raises(ModelFileError):
            read_header(Memory(content[:length]), "x.gguf")

    assert len(read_header(Memory(content[:end]), "x.gguf").tensors) == 2


def test_flipped_bits_give_a_sound_header_or_the_error(tmp_path, small):
    content = small.write(tmp_path / "x.gguf").read_bytes()
    chance = random.Random(0)
    outcomes = set()
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(small.header()))] ^= 1 << chance.randrange(8)
        try:
            header = read_header(Memory(damaged), "x.gguf")
        except ModelFileError:
            outcomes.add("error")
        else:
            outcomes.add("sound")
            assert all(tensor.offset + tensor.size <= len(content) for tensor in header.tensors)

    assert outcomes == {"error", "sound"}


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
            _read(_write(tmp_path, content))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_big_endian_is_refused_by_name(tmp_path):
    with pytest.raises(ModelFileError, match="big-endian"):
        _read(_write(tmp_path, HOSTILE["big-endian"]))


@pytest.mark.parametrize(
    ("kind", "count"), [(0, 1 << 40), (4, 1 << 36), (8, 1 << 35), (8, 3 << 20)], ids=["u8", "u32", "texts", "zeros"]
)
def test_sparse_file_cannot_make_a_large_allocation(tmp_path, kind, count):
    path = _write(tmp_path, _counts(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, kind, count))
    with path.open("r+b") as stream:
        stream.truncate(1 << 41)

    if count == 3 << 20:  # a long array of empty texts is sound, and bounded
        assert len(_read(path).metadata["k"]) == count
    else:
        with pytest.raises(ModelFileError, match="claims an array"):
            _read(path)


def test_header_larger_than_any_real_one_is_refused(tmp_path):
    size = 15 << 20
    path = _write(tmp_path, _counts(0, 9))
    with path.open("r+b") as stream:
        stream.seek(0, 2)
        for number in range(9):  # each is allowed, together they are not
            stream.write(struct.pack("<QcIQ", 1, b"%d" % number, 8, size))
            stream.seek(size, 1)
        stream.truncate()

    with pytest.raises(ModelFileError, match="larger than"):
        _read(path)


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
        _read(_write(tmp_path, content))


def test_sound_tensors_of_the_same_making_are_read(tmp_path):
    content = _counts(2, 0) + _info() + _info(name=b"v", offset=32) + bytes(4096)

    assert len(_read(_write(tmp_path, content)).tensors) == 2


@pytest.mark.parametrize("alignment", [0, 3, 48, (1 << 32) - 1])
def test_alignment_that_is_no_power_of_two(tmp_path, gguf, alignment):
    with pytest.raises(ModelFileError, match="power of two"):
        _read(gguf().set("general.alignment", alignment).tensor("w", (4,)).write(tmp_path / "x.gguf"))


def test_alignment_is_a_number_of_32_bits(tmp_path, gguf):
    with pytest.raises(ModelFileError, match="alignment"):
        _read(gguf().set("general.alignment", "32").write(tmp_path / "x.gguf"))


def test_alignment_is_kept(tmp_path, gguf):
    builder = gguf(alignment=256).set("general.alignment", 256).tensor("a", (1,)).tensor("b", (1,))

    header = _read(builder.write(tmp_path / "x.gguf"))

    assert header.data_offset % 256 == 0
    assert header.tensors[1].offset - header.tensors[0].offset == 256


def test_key_that_is_there_twice(tmp_path, gguf):
    with pytest.raises(ModelFileError, match="there twice"):
        _read(gguf().set("k", 1).set("k", 2).write(tmp_path / "x.gguf"))


def test_text_that_is_not_utf_8_is_kept_readable(tmp_path, gguf):
    builder = gguf().raw("k", 8, gguf.text(b"a\xffb"))

    assert _read(builder.write(tmp_path / "x.gguf")).metadata["k"] == "a�b"


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="missing"):
        read_header(LocalFiles(tmp_path), "x.gguf")


def _split(gguf, folder, count=3):
    for number in range(count):
        builder = gguf().raw("split.no", 2, struct.pack("<H", number)).raw("split.count", 2, struct.pack("<H", count))
        if number == 0:
            builder.set("general.architecture", "llama")
        builder.tensor(f"blk.{number}.w", (4,)).write(folder / f"m-{number + 1:05d}-of-{count:05d}.gguf")


@pytest.mark.parametrize("part", [1, 2, 3])
def test_split_model_is_read_whole_from_any_part(tmp_path, gguf, part):
    _split(gguf, tmp_path)
    path = tmp_path / f"m-{part:05d}-of-00003.gguf"

    header = read_split(LocalFiles(path), path.name)

    assert header.metadata["general.architecture"] == "llama"
    assert [(tensor.name, tensor.file) for tensor in header.tensors] == [
        (f"blk.{number}.w", f"m-{number + 1:05d}-of-00003.gguf") for number in range(3)
    ]


def test_split_model_that_lacks_a_part(tmp_path, gguf):
    _split(gguf, tmp_path)
    (tmp_path / "m-00002-of-00003.gguf").unlink()

    with pytest.raises(ModelFileError, match="incomplete"):
        read_split(LocalFiles(tmp_path), "m-00001-of-00003.gguf")


def test_parts_under_wrong_names(tmp_path, gguf):
    _split(gguf, tmp_path)
    (tmp_path / "m-00003-of-00003.gguf").rename(tmp_path / "t")
    (tmp_path / "m-00002-of-00003.gguf").rename(tmp_path / "m-00003-of-00003.gguf")
    (tmp_path / "t").rename(tmp_path / "m-00002-of-00003.gguf")

    with pytest.raises(ModelFileError, match="not the part"):
        read_split(LocalFiles(tmp_path), "m-00001-of-00003.gguf")


def test_part_that_was_renamed_to_a_whole(tmp_path, gguf):
    _split(gguf, tmp_path)
    (tmp_path / "m-00001-of-00003.gguf").rename(tmp_path / "m.gguf")

    with pytest.raises(ModelFileError, match="not the part"):
        read_split(LocalFiles(tmp_path), "m.gguf")


def test_merged_file_states_zero_parts(tmp_path, gguf):
    path = gguf().raw("split.count", 2, struct.pack("<H", 0)).tensor("w", (4,)).write(tmp_path / "m.gguf")

    assert len(read_split(LocalFiles(path), "m.gguf").tensors) == 1


@pytest.mark.parametrize("name", ["m.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-1-of-2.gguf"])
def test_names_that_are_no_parts(name):
    assert split_names(name) == (name,)
