"""Measuring a receipted artifact again, as its receipt says that it was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pajamas.manifest import Receipt
from pajamas.operations.check import Check
from pajamas.plugins import PluginHost
from pajamas.progress import Progress

if TYPE_CHECKING:
    from pajamas.operations.validating import ValidationResult

_RELATIVE, _OF_ERROR = 1e-3, 0.1
"""Other processors and versions of an engine add numbers up in another order: that moves a figure by less than this."""


def remeasure(folder: Path, receipt: Receipt, host: PluginHost, progress: Progress) -> list[Check]:
    """Hold the receipt's figures against new ones on the same text.

    Figures with a standard error must agree to 0.1 % or a tenth of that error; text and verdict must be the same.

    Raises:
        PajamasError: what finding the original, loading and measuring raise.
    """

    def check(what: str, expected: object, found: object, within: bool | None = None) -> Check:
        return Check(artifact=receipt.path, what=what, expected=str(expected), found=str(found), within=within)

    from pajamas import core  # whose operations include `verify`

    recorded = receipt.validation
    if recorded is None:
        return [check("measured quality", "recorded", "not recorded: pajamas validate measures it")]
    request = dict(recorded.request)
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
    for metric, figure in recorded.metrics.items():
        finding = result.finding(metric)
        if finding is None:
            checks.append(check(f"measured {metric}", figure.value, "not measured"))
            continue
        if "text_sha256" in figure.details:
            digests = figure.details["text_sha256"], finding.details.get("text_sha256")
            checks.append(check("sha256 of the text", *digests))
        if figure.value is not None and figure.error is not None:
            allowed = max(_RELATIVE * abs(figure.value), _OF_ERROR * figure.error)
            near = abs(finding.value - figure.value) <= allowed
            checks.append(check(f"measured {metric}", f"{figure.value:.6g}", f"{finding.value:.6g}", near))
    return checks
