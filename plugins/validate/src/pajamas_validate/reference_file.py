"""Reading a reference (see `reference`), which may be damaged or hostile: what it says is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from pajamas.errors import ChecksumMismatch, ModelFileError, UsageError
from pajamas_validate.reference import FIELDS, MAGIC, SAMPLE, Header, Record
from pajamas_validate.windows import Tokens, Windows, cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_HEADER = 1 << 20
_DIGEST = 32
_READ = 1 << 22


@frozen(kw_only=True)
class Reference:
    path: Path
    header: Header
    windows: Windows
    start: int = field(repr=False)
    """Offset of the first window's records."""

    def records(self, first: int = 0) -> Iterator[Record]:
        """The windows from `first` on, in order.

        Raises:
            ModelFileError: the file does not hold what its header says.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            for number in range(self.windows.count):
                record = self._record(stream)
                if number >= first:
                    yield record

    def _record(self, stream: IO[bytes]) -> Record:
        rows = self.windows.rows
        found: dict[str, Any] = {}
        for name, kind in FIELDS.items():
            count = rows * SAMPLE if name.startswith("sample") else rows
            if name in ("ids", "logprobs"):
                count = int(found["counts"].sum())
            found[name] = _numbers(stream, kind, count, self.path)
        record = Record(**found)
        numbers = np.concatenate([found[name] for name in ("right", "tail", "logprobs", "sample_logprobs")])
        if record.counts.min() < 1 or np.isnan(numbers).any():
            raise _damaged(self.path, "A window's records make no sense.")
        return record


def open_reference(path: Path) -> Reference:
    """Check a reference and read what it is about.

    Raises:
        UsageError: the file cannot be read, or is no reference.
        ChecksumMismatch: it is damaged.
        ModelFileError: its parts do not fit together.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise UsageError(
                    f"The file {path} is not a reference.", "It begins otherwise.", "Make one: --save-reference"
                )
            _check_digest(stream, path)
            stream.seek(len(MAGIC))
            size = int(_numbers(stream, "<u8", 1, path)[0])
            if size > _LONGEST_HEADER:
                raise _damaged(path, f"Its header is {size:,} bytes long.")
            header = _header(stream.read(size), path)
            ids: NDArray[np.int32] = _numbers(stream, "<i4", header.tokens, path)
            start = stream.tell()
    except OSError as error:
        raise UsageError(
            f"The reference {path} cannot be read.", str(error), "Name a file that --save-reference wrote."
        ) from error
    windows = cut(Tokens(ids=ids, prefix=header.prefix), header.context, header.windows)
    if windows.count != header.windows:
        raise _damaged(path, "It has fewer windows than it says.")
    return Reference(path=path, header=header, windows=windows, start=start)


def refuse_other(original: object, save_reference: Path | None) -> None:
    """Raises UsageError for an original beside a reference, or a reference that is to be made from one."""
    if original is not None or save_reference is not None:
        why = "A reference stands for the original."
        raise UsageError("A reference and an original contradict each other.", why, "Leave one of them out.")


def _check_digest(stream: IO[bytes], path: Path) -> None:
    size = stream.seek(0, 2) - _DIGEST
    stream.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (data := stream.read(min(_READ, size))):
        digest.update(data)
        size -= len(data)
    if size or stream.read() != digest.digest():
        raise ChecksumMismatch(f"{path} is damaged.", "Its checksum is another.", "Make it again: --save-reference")


def _header(data: bytes, path: Path) -> Header:
    try:
        found = json.loads(data)
        header = Header(**{**found, "prefix": tuple(found["prefix"])})
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, f"Its header cannot be read: {error}") from error
    numbers = (header.context, header.windows, header.tokens, *header.prefix)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise _damaged(path, "Its header has no sound numbers.")
    if not all(isinstance(text, str) for text in (header.model, header.text, header.text_sha256)):
        raise _damaged(path, "Its header has no sound names.")
    return header


def _numbers(stream: IO[bytes], kind: str, count: int, path: Path) -> Any:
    size = count * np.dtype(kind).itemsize
    if size > os.fstat(stream.fileno()).st_size - stream.tell():
        raise _damaged(path, "It ends too early.")
    return np.frombuffer(stream.read(size), kind)


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path} is not a sound reference.", why, "Make it again: --save-reference")
