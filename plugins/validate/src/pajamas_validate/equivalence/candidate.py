"""One of the models that are compared: what it is, from its files alone, and what it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas import manifest
from pajamas.gguf_header import read_split
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_tensors

if TYPE_CHECKING:
    from pajamas.session import Session
    from pajamas.types import Artifact

WIDE = frozenset({"F32", "F16", "BF16", "F64"})
"""Types of tensors that nothing has quantized, as GGUF and safetensors both name them."""
_NO_WEIGHTS = frozenset({"I64", "BOOL"})
"""Of positions and masks. Not I32: four bits are packed in it."""


@frozen(kw_only=True)
class Tensor:
    """A tensor of a file: `size` bytes from `offset` of `file`, `elements` of them after unpacking."""

    name: str
    type: str
    shape: tuple[int, ...]
    file: str
    offset: int
    size: int


@frozen(kw_only=True)
class Candidate:
    """A model as it was named, and as it was found."""

    label: str
    """"A", "B" ... in the order in which they were named."""
    name: str
    """As a person named it."""
    path: Path
    format: str
    scheme: str | None
    """Or the type of most of its bytes, where nothing names a scheme."""
    backend: str
    engine: str
    engine_version: str | None
    quantized: bool
    """Whether any of its weights has fewer than 16 bits."""
    size: int
    """Bytes of its weight files, as receipts count them."""
    source: str | None = None
    """What its receipt says that it was made from."""

    @property
    def title(self) -> str:
        version = f" {self.engine_version}" if self.engine_version else ""
        kind = f"{self.format} {self.scheme}" if self.scheme else self.format
        return f"{self.path.name} ({kind}; {self.engine}{version})"


def read_candidate(
    label: str, name: str, artifact: Artifact, session: Session, engine: str, engine_version: str | None
) -> Candidate:
    """Everything but `session.backend` is read from the files.

    Raises:
        ModelFileError: they are damaged.
    """
    tensors = tensors_of(artifact.path)
    folder = artifact.path if artifact.path.is_dir() else artifact.path.parent
    found = manifest.find_receipt(artifact.path)
    quantized = is_quantized(tensors)
    scheme = artifact.scheme or (found[1].scheme if found else None)
    if scheme is None and (not quantized or artifact.format == "gguf"):
        sizes: Counter[str] = Counter()
        for tensor in tensors.values():
            sizes[tensor.type] += tensor.size
        scheme = sizes.most_common(1)[0][0] if sizes else None
    return Candidate(
        label=label,
        name=name,
        path=artifact.path,
        format=artifact.format,
        scheme=scheme,
        backend=session.backend,
        engine=engine,
        engine_version=engine_version,
        quantized=quantized,
        size=sum((folder / name).stat().st_size for name in {tensor.file for tensor in tensors.values()}),
        source=found[1].source.text if found else None,
    )


def is_quantized(tensors: Mapping[str, Tensor]) -> bool:
    """Whether any weight has fewer than 16 bits."""
    return any(tensor.type not in WIDE | _NO_WEIGHTS for tensor in tensors.values())


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Every tensor of a GGUF file or a folder of safetensors, by its name; empty for what core cannot read.

    Raises:
        ModelFileError: a header is damaged.
    """
    files = LocalFiles(path)
    if path.suffix == ".gguf":
        return {
            tensor.name: Tensor(
                name=tensor.name, type=tensor.type, shape=tensor.shape, file=tensor.file, offset=tensor.offset,
                size=tensor.size,
            )
            for tensor in read_split(files, path.name).tensors
        }  # fmt: skip
    if not path.is_dir():
        return {}
    return {
        entry.name: Tensor(
            name=entry.name, type=entry.dtype, shape=entry.shape, file=entry.file, offset=entry.offset, size=entry.size
        )
        for entry in read_tensors(files).values()
    }
