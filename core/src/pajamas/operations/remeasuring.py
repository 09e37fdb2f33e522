"""Measuring a receipted artifact again, as its receipt says that it was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import fields_dict

from pajamas.errors import ModelFileError
from pajamas.manifest import Figure, Measurement, Receipt
from pajamas.operations.check import Check
from pajamas.plugins import PluginHost
from pajamas.progress import Progress
from pajamas.types import LoadOptions

if TYPE_CHECKING:
    from pajamas.validation import Finding, ValidationResult

_RELATIVE, _OF_ERROR, _OF_ANSWERS = 1e-3, 0.1, 10.0
"""Other processors and versions of an engine add numbers up in another order, which moves a figure by less: in shares
of itself and of its standard error. Shares of answers have none; they may move by points, since an answer may flip."""

_REQUEST: dict[str, type | tuple[type, ...]] = {
    "metrics": (str, list), "text": str, "options": dict, "backend": str, "original_backend": str,
    **dict.fromkeys(fields_dict(LoadOptions), object),
}  # fmt: skip


def remeasure(folder: Path, receipt: Receipt, host: PluginHost, progress: Progress) -> list[Check]:
    """Hold the receipt's figures against new ones on the same text.

    Every figure must be recorded and agree: to 0.1 % or a tenth of its standard error, shares of answers to 10 points.
    The text, the thresholds and the verdict must be the same.

    Raises:
        ModelFileError: the receipt does not say how it was measured in a way that can be trusted.
        PajamasError: what finding the original, loading and measuring raise.
    """
    from pajamas import core  # whose operations include `verify`

    def check(what: str, expected: object, found: object, within: bool | None = None) -> Check:
        return Check(artifact=receipt.path, what=what, expected=str(expected), found=str(found), within=within)

    recorded = receipt.validation
    if recorded is None:
        return [check("quality: never measured, so there is nothing to compare", "", "")]
    request = _request(folder, recorded)
    text = request.pop("text", None)
    if text is not None and not Path(text).is_file():
        return [check(f"text {text}", "present", "missing")]
    result: ValidationResult = core.run(
        "validate",
        **request,
        quantized=folder / receipt.path,
        text=None if text is None else Path(text),
        record=False,
        progress=progress,
        host=host,
    )
    checks = [check("verdict", recorded.status, result.status)]
    for finding in result.findings:
        figure = recorded.metrics.get(finding.metric)
        if figure is None:
            checks.append(check(f"measured {finding.metric}", "not recorded", f"{finding.value:.6g}"))
            continue
        for name in ("text_sha256", "thresholds"):
            if name in finding.details:
                checks.append(check(_NAMES[name], figure.details.get(name), finding.details[name]))
        if finding.metric != "verdict":
            checks.append(
                check(
                    f"measured {finding.metric}", _shown(figure.value), _shown(finding.value), _agree(figure, finding)
                )
            )
    return checks


_NAMES = {"text_sha256": "sha256 of the text", "thresholds": "thresholds"}


def _agree(figure: Figure, finding: Finding) -> bool:
    """Within what the new measurement allows: the recorded error is one of the things to be checked."""
    if figure.value is None or not math.isfinite(finding.value):
        return figure.value is None and not math.isfinite(finding.value)
    if finding.error is None:
        return figure.error is None and abs(finding.value - figure.value) <= _OF_ANSWERS
    allowed = max(_RELATIVE * abs(finding.value), _OF_ERROR * finding.error)
    same_error = figure.error is not None and math.isclose(figure.error, finding.error, rel_tol=_OF_ERROR)
    return same_error and abs(finding.value - figure.value) <= allowed


def _shown(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.6g}"


def _request(folder: Path, recorded: Measurement) -> dict[str, Any]:
    """The arguments of the operation `validate`; a manifest is a file of others, and may ask for measuring only."""
    request = dict(recorded.request)
    for name, value in request.items():
        if name not in _REQUEST or not isinstance(value, _REQUEST[name]):
            raise _spoilt(folder, f"It asks for {name} = {value!r}.")
    for name, value in request.get("options", {}).items():
        if name.startswith("save_"):  # which writes
            raise _spoilt(folder, f"It asks for the option {name} = {value!r}.")
    return request


def _spoilt(folder: Path, why: str) -> ModelFileError:
    return ModelFileError(f"The measurement recorded in {folder} cannot be repeated.", why, "Run pajamas validate.")
