import random

import pytest

from gguf_files import read
from pajamas.errors import ModelFileError
from pajamas.gguf_header import GGML_TYPES, GGUFTensor, read_header
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


@pytest.mark.parametrize("version", [2, 3])
def test_values_and_tensors(tmp_path, small, version):
    small.version = version

    header = read(small.write(tmp_path / "x.gguf"))

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

    header = read(path)

    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert header.metadata.keys() == fields.keys()
    for key, value in header.metadata.items():
        assert (list(value) if isinstance(value, tuple) else value) == fields[key].contents(), key


def test_large_real_vocabulary(shared):
    metadata = read(shared / "vocab" / "ggml-vocab-qwen2.gguf").metadata

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


@pytest.mark.parametrize("alignment", [0, 3, 48, (1 << 32) - 1])
def test_alignment_that_is_no_power_of_two(tmp_path, gguf, alignment):
    with pytest.raises(ModelFileError, match="power of two"):
        read(gguf().set("general.alignment", alignment).tensor("w", (4,)).write(tmp_path / "x.gguf"))


def test_alignment_is_a_number_of_32_bits(tmp_path, gguf):
    with pytest.raises(ModelFileError, match="alignment"):
        read(gguf().set("general.alignment", "32").write(tmp_path / "x.gguf"))


def test_alignment_is_kept(tmp_path, gguf):
    builder = gguf(alignment=256).set("general.alignment", 256).tensor("a", (1,)).tensor("b", (1,))

    header = read(builder.write(tmp_path / "x.gguf"))

    assert header.data_offset % 256 == 0
    assert header.tensors[1].offset - header.tensors[0].offset == 256


def test_key_that_is_there_twice(tmp_path, gguf):
    with pytest.raises(ModelFileError, match="there twice"):
        read(gguf().set("k", 1).set("k", 2).write(tmp_path / "x.gguf"))


def test_text_that_is_not_utf_8_is_kept_readable(tmp_path, gguf):
    builder = gguf().raw("k", 8, gguf.text(b"a\xffb"))

    assert read(builder.write(tmp_path / "x.gguf")).metadata["k"] == "a�b"


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="missing"):
        read_header(LocalFiles(tmp_path), "x.gguf")
