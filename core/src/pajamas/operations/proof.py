"""Measuring what a conversion has just made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas.errors import PajamasError
from pajamas.operations.validating import validate
from pajamas.plugins import PluginHost
from pajamas.progress import Progress

if TYPE_CHECKING:
    from pajamas.operations.converting import ConvertResult
    from pajamas.types import Artifact


def prove(result: ConvertResult, settings: Mapping[str, Any], *, host: PluginHost, progress: Progress) -> ConvertResult:
    """The result with each artifact's validation against the original that its receipt names.

    What cannot be measured is a failure of its own: the artifact is there all the same.

    Args:
        settings: arguments of the operation `validate`, such as `text` and `options`.
    """
    for artifact in result.artifacts:
        try:
            measured = validate(
                artifact.path, report=report_folder(result.folder, artifact), progress=progress, host=host, **settings
            )
        except PajamasError as error:
            failed = {**result.validation_failures, artifact.format: error}
            result = evolve(result, validation_failures=failed)
        else:
            result = evolve(result, validations={**result.validations, artifact.format: measured})
    return result


def report_folder(folder: Path, artifact: Artifact) -> Path:
    """Beside the manifest: a folder for each artifact."""
    name = artifact.path.name if artifact.path.is_dir() else artifact.path.stem
    return folder / "report" / name
