"""Reading a model's files without an engine: config.json, safetensors headers, GGUF headers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pajamas.errors import ModelFileError

_MAX_JSON = 256 << 20  # tokenizer.json of a large vocabulary is about 35 MB
_MAX_DEPTH = 3
_MAX_FILES = 100_000


class ModelFiles(Protocol):
    """A model's files, in a local folder or far away. Names are relative, with forward slashes."""

    @property
    def origin(self) -> str:
        """The folder, file or Hub id, for messages."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Every file's name and its size in bytes."""
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """`length` bytes from `offset` (to the end if None); over the network a range request.

        Raises:
            ModelFileError: no such file, or it is shorter than that.
        """
        ...

    def local_path(self, name: str) -> Path | None:
        """Where the file lies on this machine, so that it can be memory-mapped; None if it is not here."""
        ...


class LocalFiles:
    """`ModelFiles` of a folder, or of one file (with its siblings, if it is a part of a split GGUF).

    A folder is listed three levels deep, without hidden entries and without following links to other folders.

    Raises:
        ModelFileError: there is nothing at `path`, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root = path if path.is_dir() else path.parent
        self._sizes: dict[str, int] | None = None
        if not path.is_dir() and not path.is_file():
            raise ModelFileError(f"no model files at {path}", "there is no such file or folder", "check the path")

    @property
    def origin(self) -> str:
        return str(self._path)

    def sizes(self) -> Mapping[str, int]:
        if self._sizes is None:
            try:
                self._sizes = self._list()
            except OSError as error:
                raise ModelFileError(f"cannot list {self._path}", str(error), "check its permissions") from error
        return self._sizes

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        path = self.local_path(name)
        if path is None or offset < 0 or (length is not None and length < 0):
            raise ModelFileError(f"no file {name!r} in {self._path}", "", "download the model again")
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                wanted = max(size - offset, 0) if length is None else length
                # Compared before reading: a hostile length must not become an allocation.
                if offset + wanted > size:
                    raise _too_short(name, self.origin, offset + wanted, size)
                stream.seek(offset)
                data = stream.read(wanted)
        except OSError as error:
            raise ModelFileError(f"cannot read {path}", str(error), "check its permissions") from error
        if len(data) != wanted:
            raise _too_short(name, self.origin, offset + wanted, offset + len(data))
        return data

    def local_path(self, name: str) -> Path | None:
        return self._root / name if name in self.sizes() else None

    def _list(self) -> dict[str, int]:
        if not self._path.is_dir():
            # Late import: gguf_header reads through this module.
            from pajamas.gguf_header import split_names

            parts = (self._root / name for name in split_names(self._path.name))
            return {part.name: part.stat().st_size for part in parts if part.is_file()}
        found: dict[str, int] = {}
        folders = [(self._path, PurePosixPath())]
        while folders:
            folder, prefix = folders.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix / entry.name
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if len(name.parts) < _MAX_DEPTH:
                            folders.append((Path(entry.path), name))
                    elif entry.is_file():
                        found[str(name)] = entry.stat().st_size
                    if len(found) > _MAX_FILES:
                        raise ModelFileError(
                            f"{self._path} is not a model folder",
                            f"it holds more than {_MAX_FILES:,} files",
                            "name the folder that holds config.json",
                        )
        return dict(sorted(found.items()))


def read_json(files: ModelFiles, name: str) -> dict[str, Any] | None:
    """The JSON object in the file `name`; None if there is no such file.

    Raises:
        ModelFileError: it is not JSON, not an object, nested beyond reason or larger than 256 MiB.
    """
    size = files.sizes().get(name)
    if size is None:
        return None
    if size > _MAX_JSON:
        raise ModelFileError(f"{name} of {files.origin} is too large", f"{size:,} bytes of JSON", "check the model")
    return parse_json(files.read(name, 0, size), name, files.origin)


def parse_json(data: bytes, name: str, origin: str) -> dict[str, Any]:
    """The JSON object in `data`; `name` and `origin` are for the message.

    Raises:
        ModelFileError: as `read_json`.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelFileError(f"{name} of {origin} is not valid JSON", why, "download the model again") from error
    if not isinstance(value, dict):
        raise ModelFileError(
            f"{name} of {origin} is not a JSON object", f"it holds a {type(value).__name__}", "download the model again"
        )
    return value


def _too_short(name: str, origin: str, wanted: int, size: int) -> ModelFileError:
    return ModelFileError(
        f"{name} of {origin} is truncated",
        f"{wanted:,} bytes are needed, but it has {size:,}",
        "download the model again",
    )
