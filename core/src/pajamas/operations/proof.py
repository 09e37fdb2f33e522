"""Measuring what a conversion has just made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas.errors import PajamasError, UsageError
from pajamas.operations.validating import choose_metrics, read_text, validate
from pajamas.plugins import PluginHost
from pajamas.progress import Progress
from pajamas.text_overlap import LinePrint
from pajamas.types import ValidationPlan

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


def refuse_unmeasurable(
    host: PluginHost, dry_run: bool, validation: Mapping[str, Any], calibration_text: Path | None
) -> None:
    """What can be refused before the work, and not when it is done.

    Raises:
        UsageError: a dry run, a text that cannot be read, or the calibration text as the one that judges.
        PajamasError: what the plugins that measure refuse.
        UnsupportedFeature: no installed plugin measures anything.
    """
    if dry_run:
        raise UsageError("--validate and --dry-run contradict each other.", "Nothing is made to measure.", "")
    metrics = choose_metrics(host, validation.get("metrics"))
    plan = ValidationPlan(metrics=metrics, options=validation.get("options") or {}, text=validation.get("text"))
    host.check_validation(plan)
    if isinstance(text := validation.get("text"), Path):
        judging = read_text(text)
        if calibration_text is not None and LinePrint.of(read_text(calibration_text)).is_mostly(judging):
            raise UsageError(
                f"{text} cannot judge what {calibration_text} has calibrated.",
                "They are the same text, or more than half of one stands in the other.",
                "Give another text to one of them.",
            )
