"""A model's files as if they lay on the Hub: what the kit shows to `detect_architecture`."""

from __future__ import annotations

from pathlib import Path

from pajamas.errors import ModelFileError
from pajamas.modelfiles import LocalFiles

HEADERS = 64 << 20
"""Bytes that headers may need: the vocabulary of a large GGUF file takes some 20 MB."""


class FarFiles(LocalFiles):
    """No local paths, and every byte that is asked for is counted.

    Args:
        behind: bytes of zeros that seem to follow the end of the largest file.
    """

    def __init__(self, path: Path, behind: int = 0) -> None:
        super().__init__(path)
        self._behind = behind
        self.served = 0
        """Bytes that were asked for."""
        self._real = dict(super().sizes())
        self._largest = max(self._real, key=lambda name: self._real[name], default="")

    def sizes(self) -> dict[str, int]:
        return {name: size + self._behind * (name == self._largest) for name, size in self._real.items()}

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        size = self.sizes().get(name, 0)
        wanted = max(size - offset, 0) if length is None else length
        if name not in self._real or offset < 0 or wanted < 0 or offset + wanted > size:
            raise ModelFileError(f"{name!r} of {self.origin} does not hold these bytes", "", "")
        self.served += wanted
        if self.served > HEADERS:  # counted, and not answered: the answer might not fit into memory
            raise ModelFileError(f"{name} of {self.origin} is read as a whole", "", "read its header only")
        with (self._root / name).open("rb") as stream:
            stream.seek(offset)
            data = stream.read(wanted)
        return data.ljust(wanted, b"\0")

    def local_path(self, name: str) -> None:
        """None: it is not here."""
