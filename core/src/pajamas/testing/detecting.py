"""What a backend may make of files that are not its own, or are damaged."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pajamas.errors import ModelFileError
from pajamas.modelfiles import LocalFiles
from pajamas.testing.damaged import write_damaged, write_foreign
from pajamas.testing.group import Group, require
from pajamas.testing.hook_functions import implementations

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact

HEADERS = 64 << 20
"""Bytes that headers may need: the vocabulary of a large GGUF file takes some 20 MB."""
WEIGHTS = 512 << 20
"""Bytes of zeros that the kit pretends lie behind the end of the largest file."""


class Detecting(Group):
    """Foreign and damaged files.

    A backend without a `detect_architecture` hook passes by definition: core reads its format.
    """

    def test_foreign_files_are_none(self, registered: Backend, tmp_path: Path) -> None:
        """`detect_architecture` returns None for files of others, and never raises.

        It is asked about whatever a person names: empty files, random bytes, hostile GGUF headers, a config.json that
        is no JSON or a list or nested without end, folders with strange names.
        """
        for what, path in write_foreign(tmp_path).items():
            self._require_none(registered, what, path)
        require(not (tmp_path / "unpickled").exists(), "A pickle was loaded.", "Never unpickle: it runs what it says.")

    def test_damaged_artifacts_are_none(self, registered: Backend, artifact: Artifact, tmp_path: Path) -> None:
        """`detect_architecture` returns None for its own format when the files are damaged, and never raises."""
        for what, path in write_damaged(tmp_path / "damaged", artifact.path).items():
            if path.exists() and "weights" not in what and "halfway" not in what:
                self._require_none(registered, what, path)
            elif path.exists():  # its header may be whole, and then tells what the model was
                self._require_no_error(registered, what, path)

    def test_detecting_reads_headers_only(self, hooks: ModuleType, registered: Backend, artifact: Artifact) -> None:
        """`detect_architecture` reads headers, never weights: the files may be far away and large.

        It is given the class's own artifact as if it lay on the Hub, with weights that go on for half a gigabyte.
        """
        if "detect_architecture" not in implementations(hooks):
            return
        files = FarFiles(artifact.path)
        registered.detect_architecture(files)
        require(
            files.served <= HEADERS,
            f"detect_architecture asks for {files.served:,} bytes of {artifact.path.name}.",
            "Read with `files.read(name, offset, length)` and small lengths; sizes are in `files.sizes()`.",
        )

    def _require_none(self, registered: Backend, what: str, path: Path) -> None:
        __tracebackhide__ = True
        answer = self._require_no_error(registered, what, path)
        require(
            answer is None,
            f"detect_architecture takes {what} ({path.name[:40]!r}) for {answer!r}.",
            "Return None unless the files state what the model is.",
        )

    def _require_no_error(self, registered: Backend, what: str, path: Path) -> object:
        __tracebackhide__ = True
        try:
            return registered.detect_architecture(FarFiles(path, behind=0))
        except Exception as error:  # whatever it is, it must not escape
            words = f"detect_architecture raises {type(error).__name__} for {what}: {error}"
            pytest.fail(f"{words}\nHow to mend it: Return None for files that you cannot read, damaged ones too.")


class FarFiles(LocalFiles):
    """A model's files as if they were on the Hub: no local paths, and every byte that is read is counted.

    Args:
        behind: bytes of zeros that seem to follow the end of the largest file.
    """

    def __init__(self, path: Path, *, behind: int = WEIGHTS) -> None:
        super().__init__(path)
        self.served = 0
        self._real = dict(super().sizes())
        self._largest = max(self._real, key=lambda name: self._real[name], default="")
        self._behind = behind

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
        return None
