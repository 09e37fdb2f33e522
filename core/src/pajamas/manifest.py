"""`manifest.json`: the receipts of the artifacts in a folder, written atomically.

The schema is documented in docs/manifest.md. `SCHEMA` changes its number when a field changes its meaning or goes away;
a reader takes every manifest of its own number and ignores fields that it does not know.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from pajamas.errors import ModelFileError, ModelNotFound
from pajamas.types import Architecture, TensorInfo

if TYPE_CHECKING:
    from cattrs import Converter

SCHEMA = 1
FILE_NAME = "manifest.json"


@frozen(kw_only=True)
class SourceRecord:
    """What an artifact was made from."""

    text: str
    """As it was asked for."""
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    files: Mapping[str, str] = field(factory=dict)
    """sha256 of the small files that decide what the model is: config.json, tokenizer.json and the like."""


@frozen(kw_only=True)
class Figure:
    """One measured value."""

    value: float | None
    """None where it is infinite, which JSON cannot write."""
    error: float | None = None
    """Standard error, where there is one."""
    unit: str = ""
    details: Mapping[str, Any] = field(factory=dict)
    """What belongs to it: the text's digest, the number of windows, quantiles, thresholds."""


@frozen(kw_only=True)
class Measurement:
    """The quality of an artifact, measured against the original that its receipt names."""

    status: str
    """ "pass", "fail", "unresolved" or "measured"."""
    created: str
    """UTC, ISO 8601."""
    engine: str
    engine_version: str | None
    pajamas_version: str
    original: Mapping[str, Any]
    """Path and format of what it was compared with."""
    metrics: Mapping[str, Figure]
    """By metric."""
    request: Mapping[str, Any]
    """Arguments of the operation `validate` that measure this again."""


@frozen(kw_only=True)
class Receipt:
    """One artifact: what it is, how it was made, and how to tell that it is still the same."""

    format: str
    scheme: str | None
    profile: str | None
    path: str
    """Relative to the manifest, with forward slashes: a file, or a folder."""
    size: int
    """Bytes of weights."""
    files: Mapping[str, str]
    """sha256 of each file of the artifact, by its path relative to the manifest."""
    tensor_digest: str | None
    """sha256 over names, types, shapes and bytes of all tensors: equal however the file's metadata differ. None where
    core cannot read the format."""
    tokenizer_digest: str | None
    template_digest: str | None
    parameters: int | None
    bits_per_weight: float | None
    architecture: Architecture | None
    tensor_types: Mapping[str, int]
    """Type to number of tensors."""
    tensors: tuple[TensorInfo, ...]
    backend: str
    engine: str
    engine_version: str | None
    pajamas_version: str
    plugin: str
    """Distribution and version of the backend."""
    command: str
    created: str
    """UTC, ISO 8601."""
    source: SourceRecord
    options: Mapping[str, Any] = field(factory=dict)
    """What was asked for beyond the scheme and decides the result: overrides, intermediate dtype, converter."""
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(factory=dict)
    validation: Measurement | None = None
    """The measured quality; None while it was not measured."""


@frozen(kw_only=True)
class Manifest:
    name: str
    schema: int = SCHEMA
    artifacts: tuple[Receipt, ...] = ()

    def with_receipt(self, receipt: Receipt) -> Manifest:
        """In the place of an earlier receipt of the same path, else at the end."""
        by_path = {other.path: other for other in self.artifacts} | {receipt.path: receipt}
        return evolve(self, artifacts=tuple(by_path.values()))


@cache
def _converter() -> Converter:
    """Imported with the first manifest: a model without one is loaded without cattrs."""
    from cattrs import Converter
    from cattrs.gen import make_dict_unstructure_fn

    converter = Converter(forbid_extra_keys=False)
    for record in (TensorInfo, Architecture):
        # Thousands of tensors: what says nothing (None) is left out.
        converter.register_unstructure_hook(
            record, make_dict_unstructure_fn(record, converter, _cattrs_omit_if_default=True)
        )
    return converter


def to_plain(record: Any) -> Any:
    """A record as JSON's own types."""
    return _converter().unstructure(record)


def write(folder: Path, manifest: Manifest) -> Path:
    """Write the folder's manifest; a reader sees the old one or the new one, never a part."""
    path = folder / FILE_NAME
    text = json.dumps(to_plain(manifest), indent=2, ensure_ascii=False) + "\n"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{FILE_NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read(path: Path) -> Manifest:
    """Read `path`, a manifest or the folder that holds it.

    Raises:
        ModelNotFound: there is none.
        ModelFileError: it is damaged, or of a newer schema than this pajamas knows.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelNotFound(
            f"There is no manifest at {path}.",
            "Only artifacts that pajamas made have one.",
            "Name the folder that `pajamas convert` wrote.",
        ) from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"The manifest {path} cannot be read.", str(error), "Convert the model again.") from error
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise ModelFileError(
            f"{path} is not a pajamas manifest.", "It has no schema number.", "Convert the model again."
        )
    if data["schema"] > SCHEMA:
        raise ModelFileError(
            f"The manifest {path} is of schema {data['schema']}.",
            f"This pajamas knows schemas up to {SCHEMA}.",
            "pip install -U pajamas",
        )
    try:
        return _converter().structure(data, Manifest)
    except Exception as error:  # cattrs raises groups of whatever the wrong values raised
        from cattrs import transform_error

        why = "; ".join(transform_error(error))
        raise ModelFileError(f"The manifest {path} is damaged.", why, "Convert the model again.") from error


def find_receipt(artifact: Path) -> tuple[Path, Receipt] | None:
    """An artifact's receipt, from the manifest beside or above it, with the manifest's folder; None if it has none."""
    for folder in (artifact.parent, artifact.parent.parent):
        if not (folder / FILE_NAME).is_file():
            continue
        for receipt in read(folder).artifacts:
            if (folder / receipt.path).resolve() == artifact.resolve():
                return folder, receipt
    return None
