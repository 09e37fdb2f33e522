"""Digests that say whether an artifact is still the one that its receipt describes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pajamas import gguf_header, safetensors_header
from pajamas.modelfiles import LocalFiles, read_json
from pajamas.progress import NO_PROGRESS, Progress

_BLOCK = 1 << 22
_WORTH_SHOWING = 1 << 20
"""Bytes. A folder has many small files, and a line for each hides the one that takes time."""


def file_digest(path: Path, progress: Progress = NO_PROGRESS) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    shown = progress if size >= _WORTH_SHOWING else NO_PROGRESS
    with path.open("rb") as stream, shown.stage(f"Checksum {path.name}", size, "bytes") as stage:
        while block := stream.read(_BLOCK):
            digest.update(block)
            stage.advance(len(block))
    return digest.hexdigest()


def artifact_files(path: Path) -> list[Path]:
    """The files of an artifact: the file itself and its further shards, or all files of a folder."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return [path.with_name(name) for name in gguf_header.split_names(path.name)]


def tensor_digest(path: Path, progress: Progress = NO_PROGRESS) -> str | None:
    """sha256 over every tensor in order of name: name, type and shape as one line of JSON, then the bytes.

    None for an artifact whose tensors core cannot read: neither GGUF nor safetensors.

    Raises:
        ModelFileError: the file is damaged.
    """
    digest = hashlib.sha256()
    files = LocalFiles(path)
    if not _is_gguf(path) and not any(name.endswith(".safetensors") for name in files.sizes()):
        return None
    spans = sorted(_gguf_spans(files, path) if path.is_file() else _safetensors_spans(files))
    total = sum(length for *_, length in spans)
    with progress.stage(f"Tensors {path.name}", total, "bytes") as stage:
        for name, kind, shape, file, offset, length in spans:
            digest.update(json.dumps([name, kind, list(shape)]).encode() + b"\n")
            for start in range(0, length, _BLOCK):
                block = files.read(file, offset + start, min(_BLOCK, length - start))
                digest.update(block)
                stage.advance(len(block))
    return digest.hexdigest()


_Span = tuple[str, str, tuple[int, ...], str, int, int]
"""name, type, shape, file, offset, length"""


def _gguf_spans(files: LocalFiles, path: Path) -> list[_Span]:
    header = gguf_header.read_split(files, path.name)
    return [
        (tensor.name, tensor.type, tensor.shape, tensor.file, tensor.offset, tensor.size) for tensor in header.tensors
    ]


def _safetensors_spans(files: LocalFiles) -> list[_Span]:
    return [
        (tensor.name, tensor.dtype, tensor.shape, tensor.file, tensor.offset, tensor.size)
        for tensor in safetensors_header.read_tensors(files).values()
    ]


def _is_gguf(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".gguf"


def tokenizer_digest(path: Path) -> str | None:
    """sha256 over everything that decides tokenization; None for an artifact that holds no tokenizer."""
    if _is_gguf(path):
        metadata = gguf_header.read_header(LocalFiles(path), path.name).metadata
        keys = sorted(key for key in metadata if key.startswith("tokenizer.ggml."))
        return _json_digest({key: metadata[key] for key in keys}) if keys else None
    for name in ("tokenizer.json", "tokenizer.model", "vocab.json"):
        if (path / name).is_file():
            return file_digest(path / name)
    return None


def template_digest(path: Path) -> str | None:
    """sha256 of the chat template's text; None where there is none."""
    template: Any
    if _is_gguf(path):
        template = gguf_header.read_header(LocalFiles(path), path.name).metadata.get("tokenizer.chat_template")
    elif path.is_file():
        return None
    elif (path / "chat_template.jinja").is_file():
        template = (path / "chat_template.jinja").read_text(encoding="utf-8")
    else:
        template = (read_json(LocalFiles(path), "tokenizer_config.json") or {}).get("chat_template")
    if template is None:
        return None
    return hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else _json_digest(template)


def _json_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
