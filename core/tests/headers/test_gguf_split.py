"""Models in several GGUF files."""

from __future__ import annotations

import struct

import pytest

from pajamas.errors import ModelFileError
from pajamas.gguf_header import read_split, split_names
from pajamas.modelfiles import LocalFiles


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
