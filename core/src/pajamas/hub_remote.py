"""`ModelFiles` of a repository at the Hub: headers of weights by ranges, small files through the cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pajamas.errors import ModelFileError
from pajamas.hub_download import bring
from pajamas.hub_errors import hub_errors
from pajamas.hub_files import WEIGHT_SUFFIXES
from pajamas.hub_repository import Repository
from pajamas.hub_transfer import fetch

_MOST_SMALL = 512 * 2**20
_MOST_RANGE = 256 * 2**20
_MOST_KEPT = 64 * 2**20


class RemoteFiles:
    """The files of a model at the Hub, without its weights ever being downloaded.

    What the cache has is read there. A small file is brought into the cache when it is first read; of weights only
    the range that is asked for is transferred, and kept in memory: headers are read by several readers, in threads too.
    """

    def __init__(self, repository: Repository, names: Iterable[str]) -> None:
        self._repository = repository
        self._sizes = {name: repository.files[name].size for name in names}
        self._ranges: dict[tuple[str, int, int], bytes] = {}

    @property
    def origin(self) -> str:
        return self._repository.repo_id

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def local_path(self, name: str) -> Path | None:
        return self._repository.cached(name) if name in self._sizes else None

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """As `ModelFiles.read`.

        Raises:
            ModelFileError: no such file, it is shorter than that, or so much of weights is not a header.
            PajamasError: whatever `hub_errors` makes of the network's and the cache's errors.
        """
        if name not in self._sizes:
            raise ModelFileError(f"{self.origin} has no file {name}", "", "Check the repository.")
        size = self._sizes[name]
        stop = size if length is None else offset + length
        if not 0 <= offset <= stop <= size:
            why = f"Bytes {offset} to {stop} were asked for, and it has {size}."
            raise ModelFileError(f"{name} of {self.origin} is too short.", why, "The file is damaged at its source.")
        path = self._repository.cached(name)
        if path is None and name.endswith(WEIGHT_SUFFIXES):
            return self._range(name, offset, stop)
        if path is None:
            path = self._bring(name)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(stop - offset)

    def _range(self, name: str, start: int, stop: int) -> bytes:
        from huggingface_hub import hf_hub_url

        if stop - start > _MOST_RANGE:
            why = f"A header would take {stop - start} bytes."
            raise ModelFileError(f"{name} of {self.origin} is damaged.", why, "Do not use this file.")
        if (kept := self._ranges.get((name, start, stop))) is not None:
            return kept
        found = bytearray()
        with hub_errors(self._repository.source):
            url = hf_hub_url(self._repository.repo_id, name, revision=self._repository.commit)
            fetch(url, start, stop, found.extend)
        data = bytes(found)
        if sum(map(len, list(self._ranges.values()))) + len(data) <= _MOST_KEPT:
            self._ranges[name, start, stop] = data
        return data

    def _bring(self, name: str) -> Path:
        if self._sizes[name] > _MOST_SMALL:
            why = f"It holds {self._sizes[name]} bytes."
            raise ModelFileError(f"{name} of {self.origin} is too large.", why, "Do not use this repository.")
        with hub_errors(self._repository.source):
            bring(self._repository, [name])
        return self._repository.pointer(name)
