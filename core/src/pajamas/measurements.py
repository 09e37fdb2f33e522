"""What a receipt keeps of a validation: figures, what they were measured on, and how to measure them again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas import digests, manifest, receipts
from pajamas.plugin_entries import core_version

if TYPE_CHECKING:
    from pajamas.operations.validating import ValidationResult
    from pajamas.plugins import PluginHost
    from pajamas.progress import Progress
    from pajamas.validation import Finding

log = logging.getLogger(__name__)

_PLAIN = (str, int, float, bool, type(None))


def make_measurement(result: ValidationResult, request: Mapping[str, Any], host: PluginHost) -> dict[str, Any]:
    """The content of `Receipt.validation`.

    Args:
        request: the arguments of the operation `validate` that measure this again, as JSON's own types.
    """
    info = host.backend(result.backend).describe()
    original = result.original
    return {
        "status": result.status,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine": info.engine,
        "engine_version": info.engine_version,
        "pajamas_version": core_version(),
        "original": original and {"path": str(original.path), "format": original.format},
        "metrics": {finding.metric: _figure(finding) for finding in result.findings},
        "request": dict(request),
    }


def _figure(finding: Finding) -> dict[str, Any]:
    figure: dict[str, Any] = {"value": finding.value, "error": finding.error, "unit": finding.unit}
    return figure | {name: value for name, value in finding.details.items() if _is_small(value)}


def _is_small(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(item, _PLAIN) for item in value.values())
    return isinstance(value, _PLAIN)


def record_measurement(artifact: Path, measurement: Mapping[str, Any], progress: Progress) -> Path | None:
    """Put it into the artifact's receipt; the manifest's path, or None where that was not done, which is logged.

    A receipt is not completed for other files than it describes, and a measurement on more windows is not replaced by
    one on fewer of the same text.
    """
    found = manifest.find_receipt(artifact)
    if found is None:
        return None
    folder, receipt = found
    for name, digest in receipt.files.items():
        if digests.file_digest(folder / name, progress) != digest:
            log.warning("Not recorded: %s is not the file that its receipt describes. See `pajamas verify`.", name)
            return None
    old, new = _extent(receipt.validation), _extent(measurement)
    if old and new and old[0] == new[0] and old[1] > new[1]:
        log.warning("Not recorded: the receipt has a measurement on %d windows of this text already.", old[1])
        return None
    try:
        with receipts.locked(folder):
            current = manifest.read(folder)
            same = next((item for item in current.artifacts if item.path == receipt.path), None)
            if same is None or same.files != receipt.files:
                return None
            return manifest.write(folder, current.with_receipt(evolve(same, validation=measurement)))
    except OSError as error:
        log.warning("Not recorded: the manifest cannot be written: %s", error)
        return None


def _extent(measurement: Mapping[str, Any] | None) -> tuple[str, int] | None:
    """The text's digest and how many windows of it were measured, where that is known."""
    figure = ((measurement or {}).get("metrics") or {}).get("perplexity") or {}
    if "text_sha256" in figure and "windows" in figure:
        return str(figure["text_sha256"]), int(figure["windows"])
    return None
