"""What a receipt keeps of a validation: figures, what they were measured on, and how to measure them again."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas import digests, manifest, receipts
from pajamas.manifest import Figure, Measurement
from pajamas.plugin_entries import core_version

if TYPE_CHECKING:
    from pajamas.operations.validating import ValidationResult
    from pajamas.plugins import PluginHost
    from pajamas.progress import Progress
    from pajamas.validation import Finding

log = logging.getLogger(__name__)

_PLAIN = (str, int, float, bool, type(None))


def make_measurement(result: ValidationResult, request: Mapping[str, Any], host: PluginHost) -> Measurement:
    """What a receipt says of a validation against an original.

    Args:
        request: the arguments of the operation `validate` that measure this again, as JSON's own types.
    """
    info = host.backend(result.backend).describe()
    original = result.original
    return Measurement(
        status=result.status,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=info.engine,
        engine_version=info.engine_version,
        pajamas_version=core_version(),
        original={"path": str(original.path), "format": original.format} if original else {},
        metrics={finding.metric: _figure(finding) for finding in result.findings},
        request=request,
    )


def _figure(finding: Finding) -> Figure:
    details = {name: _finite(value) for name, value in finding.details.items() if _is_small(value)}
    return Figure(value=_finite(finding.value), error=_finite(finding.error), unit=finding.unit, details=details)


def _is_small(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(item, _PLAIN) for item in value.values())
    return isinstance(value, _PLAIN)


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def record_measurement(artifact: Path, measurement: Measurement, progress: Progress) -> Path | None:
    """Put it into the artifact's receipt; the manifest's path, or None where that was not done, which is logged.

    A receipt is not completed for other files than it describes, and a measurement of more tokens or with more figures
    is not replaced.
    """
    found = manifest.find_receipt(artifact)
    if found is None:
        return None
    folder, receipt = found
    for name, digest in receipt.files.items():
        if digests.file_digest(folder / name, progress) != digest:
            log.warning("Not recorded: %s is not the file that its receipt describes. See `pajamas verify`.", name)
            return None
    if better := _better(receipt.validation, measurement):
        log.warning("Not recorded: the receipt has a measurement %s.", better)
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


def _better(old: Measurement | None, new: Measurement) -> str:
    """What the old measurement has that the new one lacks; empty if the new one is as good."""
    if old is None:
        return ""
    missing = set(old.metrics) - set(new.metrics)
    if missing:
        return f"that has {', '.join(sorted(missing))} too"
    before, after = _tokens(old), _tokens(new)
    return f"of {before:,} tokens, and this one is of {after:,}" if after < before else ""


def _tokens(measurement: Measurement) -> int:
    figure = measurement.metrics.get("perplexity")
    tokens = figure.details.get("tokens") if figure else None
    return tokens if isinstance(tokens, int) else 0
