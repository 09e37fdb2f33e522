"""The report as JSON: everything that was measured, and the few figures that programs look for first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from pajamas import manifest
from pajamas_validate.samples import behaviour_of
from pajamas_validate.verdict import INCREASE

if TYPE_CHECKING:
    from pajamas.manifest import Receipt
    from pajamas.types import Finding
    from pajamas.validation import Measured
    from pajamas_validate.behaviour import Answer

SCHEMA = 1


def record(result: Measured, receipt: Receipt | None) -> dict[str, Any]:
    """A validation as plain JSON.

    `validation.perplexity` holds `baseline`, `quantized`, `increase_pct`, `threshold` (per cent, None where nothing
    judges) and `pass` (None where it is not decided); `validation.samples` a list of `prompt`, `baseline`, `quantized`
    and `match`; `findings` all figures with their errors and details.
    """
    whole = {
        "schema": SCHEMA,
        "model": receipt.source.text if receipt else str(result.artifact.path),
        "artifact": str(result.artifact.path),
        "format": result.artifact.format,
        "scheme": result.artifact.scheme or (receipt.scheme if receipt else None),
        "original": str(result.original.path) if result.original else None,
        "method": _method(result),
        "status": result.status,
        "validation": {"perplexity": _perplexity(result), "samples": _samples(result)},
        "findings": manifest.to_plain(result.findings),
        "receipt": manifest.to_plain(receipt) if receipt else None,
        "pajamas_version": version("pajamas"),
    }
    return cast("dict[str, Any]", _finite(whole))


def _finite(value: Any) -> Any:
    """JSON has no infinity: a token that the candidate holds for impossible makes its perplexity one."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _method(result: Measured) -> str:
    measured = result.finding("perplexity")
    if measured is None:
        return "greedy answers to prompts" if result.finding("samples") else "none"
    facts = measured.details
    windows = f"{facts['windows']} windows of {facts['context']} tokens of {facts['text']}"
    return f"{windows}, the second half of each scored, as llama-perplexity does"


def _perplexity(result: Measured) -> dict[str, Any] | None:
    quantized, baseline = result.finding("perplexity"), result.finding("perplexity-original")
    if quantized is None:
        return None
    verdict = result.finding("verdict")
    thresholds: Mapping[str, Any] = verdict.details["thresholds"] if verdict else {}
    return {
        "baseline": baseline.value if baseline else None,
        "quantized": quantized.value,
        "increase_pct": result.perplexity_increase,
        "threshold": thresholds.get("increase"),
        "pass": {"pass": True, "fail": False}.get(_judged(verdict)),
    }


def _judged(verdict: Finding | None) -> str:
    """How the perplexity's own threshold was kept, whatever the other figures say."""
    judgements = verdict.details["judgements"] if verdict else ()
    return next((judgement["status"] for judgement in judgements if judgement["figure"] == INCREASE), "")


def _samples(result: Measured) -> list[dict[str, Any]]:
    finding = result.finding("samples")
    if finding is None:
        return []
    return [
        {
            "id": sample.id,
            "prompt": sample.prompt,
            "mode": sample.mode,
            "baseline": _text(sample.baseline),
            "quantized": _text(sample.quantized),
            "match": sample.match,
            "similarity": sample.similarity,
            "first_divergence": sample.first_divergence,
            "faults": list(sample.quantized.faults) if sample.quantized else [],
            "not_run": sample.not_run,
        }
        for sample in behaviour_of(finding).samples
    ]


def _text(answer: Answer | None) -> str | None:
    return None if answer is None else "\n".join(part for part in (answer.text, *answer.tool_calls) if part)
