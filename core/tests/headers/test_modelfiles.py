import json
import os

import pytest

from pajamas.errors import ModelFileError
from pajamas.modelfiles import LocalFiles, read_json


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / "sub" / "deeper" / "x.bin").write_bytes(b"0123456789")
    (tmp_path / ".hidden").write_text("no")
    return tmp_path


def test_folder_is_listed_with_forward_slashes(folder):
    assert LocalFiles(folder).sizes() == {"config.json": 8, "sub/deeper/x.bin": 10}


def test_ranges_are_read(folder):
    files = LocalFiles(folder)

    assert files.read("sub/deeper/x.bin", 3, 4) == b"3456"
    assert files.read("sub/deeper/x.bin", 8) == b"89"
    assert files.local_path("sub/deeper/x.bin") == folder / "sub" / "deeper" / "x.bin"


@pytest.mark.parametrize(
    ("name", "offset", "length"),
    [
        ("config.json", 0, 9),
        ("config.json", 9, None),
        ("config.json", 0, 1 << 62),
        ("config.json", -1, 1),
        ("config.json", 0, -1),
        ("missing", 0, 1),
        ("../config.json", 0, 1),
        ("/etc/hostname", 0, 1),
    ],
)
def test_reading_what_is_not_there_is_an_error(folder, name, offset, length):
    with pytest.raises(ModelFileError):
        LocalFiles(folder).read(name, offset, length)


def test_links_to_files_are_followed_and_links_to_folders_are_not(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("blobs")
    (elsewhere / "blob").write_bytes(b"12345")
    (folder / "linked.bin").symlink_to(elsewhere / "blob")
    (folder / "loop").symlink_to(folder)
    (folder / "dead").symlink_to(folder / "nothing")

    assert set(LocalFiles(folder).sizes()) == {"config.json", "linked.bin", "sub/deeper/x.bin"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipe_in_a_folder_is_no_file(folder):
    os.mkfifo(folder / "model.safetensors")  # reading it would wait for ever

    assert "model.safetensors" not in LocalFiles(folder).sizes()


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(ModelFileError, match="no model files"):
        LocalFiles(tmp_path / "nothing")


def test_one_file_comes_alone_and_a_part_with_its_siblings(tmp_path):
    for name in ("a.gguf", "b-00001-of-00002.gguf", "b-00002-of-00002.gguf", "config.json"):
        (tmp_path / name).write_bytes(b"x")

    assert set(LocalFiles(tmp_path / "a.gguf").sizes()) == {"a.gguf"}
    assert set(LocalFiles(tmp_path / "b-00002-of-00002.gguf").sizes()) == {
        "b-00001-of-00002.gguf",
        "b-00002-of-00002.gguf",
    }


def test_json_is_read_and_missing_json_is_none(folder):
    assert read_json(LocalFiles(folder), "config.json") == {"a": 1}
    assert read_json(LocalFiles(folder), "generation_config.json") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'"text"', b"null", b"\xff\xfe\x00", b'{"a": ' + b"9" * 5000 + b"}", b'{"a":' * 100_000],
    ids=["empty", "cut", "list", "text", "null", "not-unicode", "endless-number", "deep"],
)
def test_json_that_is_no_object_is_an_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(ModelFileError):
        read_json(LocalFiles(tmp_path), "config.json")


def test_huge_json_is_refused_unread(tmp_path):
    with (tmp_path / "config.json").open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(ModelFileError, match="too large"):
        read_json(LocalFiles(tmp_path), "config.json")


def test_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())

    assert read_json(LocalFiles(tmp_path), "config.json") == {"a": 1}
