"""GGUF files of a few bytes."""

from __future__ import annotations

from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles


def read(path):
    return read_header(LocalFiles(path), path.name)


def write(tmp_path, content):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    return path
