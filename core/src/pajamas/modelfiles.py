"""Reading a model's files without an engine: config.json, safetensors headers, GGUF headers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


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
