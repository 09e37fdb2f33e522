"""What was made, told by a file that is written last: an environment without it is none.

    environments/vllm/environment.json    the record
    environments/vllm/3f1c9a72/           the virtual environment that it names
    environments/vllm/pip.log             what pip said, the last time
    environments/vllm.lock                held while one is made or removed

A new one is made beside the old one, which serves until the record is replaced.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from cattrs import Converter

FOLDER_VARIABLE = "PAJAMAS_ENVIRONMENTS"
FILE_NAME = "environment.json"
LOG_NAME = "pip.log"


@frozen(kw_only=True)
class EnvironmentRecord:
    """A whole environment: what is in it and where it came from."""

    name: str
    backend: str
    """The plugin that works in it."""
    variant: str
    """The device word that it was made for."""
    python: Path
    """Its interpreter."""
    python_version: str
    made: str
    """When, in UTC (ISO 8601)."""
    pajamas: str
    """Version."""
    requirements: tuple[str, ...]
    """That pip was given, as the plugin declared them."""
    unwanted: tuple[str, ...] = ()
    """Uninstalled again."""
    sources: Mapping[str, str] = field(factory=dict)
    """Distribution of pajamas to where pip had it from: a version, or the folder of an editable installation."""
    packages: Mapping[str, str] = field(factory=dict)
    """Everything in it: distribution to version."""
    size: int = 0
    """Bytes on the disk."""


def environments_folder() -> Path:
    """PAJAMAS_ENVIRONMENTS, or `environments` in the user's data folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("pajamas") / "environments"


def folder_of(name: str) -> Path:
    """Where the environment of that name lies, or would."""
    return environments_folder() / name


def read(name: str) -> EnvironmentRecord | None:
    """The record of a whole environment; None where there is none, or it is damaged."""
    from cattrs.errors import BaseValidationError

    try:
        data = json.loads((folder_of(name) / FILE_NAME).read_text(encoding="utf-8"))
        return _converter().structure(data, EnvironmentRecord)
    except (OSError, ValueError, TypeError, BaseValidationError):
        return None


def write(record: EnvironmentRecord) -> None:
    """Put the record in place, whole or not at all."""
    folder = folder_of(record.name)
    text = json.dumps(_converter().unstructure(record), indent=2, ensure_ascii=False) + "\n"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{FILE_NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(folder / FILE_NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@cache
def _converter() -> Converter:
    from cattrs.preconf.json import make_converter

    return make_converter()
