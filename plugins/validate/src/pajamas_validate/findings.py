"""Figures as the records that core collects: everything in `details` is JSON's own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import asdict

from pajamas.types import Finding

if TYPE_CHECKING:
    from pajamas_validate.agreement import TokenDifference
    from pajamas_validate.equivalence.reading import ReadingDifference
    from pajamas_validate.estimate import Estimate
    from pajamas_validate.likelihood import Run
    from pajamas_validate.scores import Scores
    from pajamas_validate.statistics import Comparison, Summary
    from pajamas_validate.verdict import Verdict
    from pajamas_validate.vocabulary import VocabularyDifference


def of_run(
    run: Run, summary: Summary, verdict: Verdict, metrics: tuple[str, ...], next_recipe: str | None = None
) -> list[Finding]:
    """Those of the metrics that were asked for; the verdict comes last.

    Args:
        next_recipe: the scheme to try where the verdict is a failure, by the candidate's receipt.
    """
    found = [_finding("perplexity", summary.perplexity, model=run.label, **_sample(run), **_series(run.scores))]
    comparison = summary.comparison
    if comparison is not None:
        found.insert(0, _finding("perplexity-original", comparison.perplexity, model=run.original_label))
        found.append(_finding("perplexity-increase", comparison.increase, "%"))
        if "kld" in metrics:
            found += _divergence(comparison)
    found.append(
        Finding(
            metric="verdict",
            value=float(verdict.status == "pass"),
            details={
                "status": verdict.status,
                "line": verdict.line,
                "more_windows": verdict.more_windows,
                **({"next_recipe": next_recipe} if next_recipe and verdict.status == "fail" else {}),
                "thresholds": asdict(verdict.thresholds),
                "judgements": [
                    asdict(judgement) | {"sentence": judgement.sentence} for judgement in verdict.judgements
                ],
            },
        )
    )
    return found


def of_template(difference: ReadingDifference) -> Finding:
    """Whoever talks with such a candidate talks with another model."""
    return Finding(
        metric="chat-template",
        value=float(difference.position),
        unit="bytes",
        details={"conversation": difference.text, "sentence": difference.sentence},
    )


def of_difference(difference: TokenDifference | VocabularyDifference) -> list[Finding]:
    """A candidate that reads the text as other tokens is no quantization of the original: it fails."""
    return [
        Finding(
            metric="tokenization",
            value=float(difference.position),
            unit="tokens",
            details=asdict(difference) | {"sentence": difference.sentence},
        ),
        failed("the tokenizers differ"),
    ]


def failed(why: str) -> Finding:
    """The verdict on a candidate that is not this original's, whatever its figures."""
    return Finding(
        metric="verdict",
        value=0.0,
        details={
            "status": "fail",
            "line": f"FAIL ({why})",
            "more_windows": None,
            "thresholds": {},
            "judgements": [],
        },
    )


def _divergence(comparison: Comparison) -> list[Finding]:
    quantiles = {f"{place:g}": value for place, value in comparison.quantiles.items()}
    sampled = {} if comparison.sampling_error is None else {"sampling_error": comparison.sampling_error}
    return [
        _finding("kld", comparison.divergence, "nats", quantiles=quantiles, **sampled),
        _finding("same-top-token", comparison.same_top, "%"),
        _finding("probability-change", comparison.change, "%"),
        _finding("probability-change-rms", comparison.change_rms, "%"),
    ]


def _finding(metric: str, estimate: Estimate, unit: str = "", **details: Any) -> Finding:
    return Finding(
        metric=metric,
        value=estimate.value,
        error=estimate.error,
        unit=unit,
        details=details | {"window_error": estimate.window_error},
    )


def _sample(run: Run) -> dict[str, Any]:
    windows = run.windows
    return {
        "text": run.text.name,
        "text_sha256": run.text.digest,
        "tokens_sha256": windows.digest,
        "context": windows.context,
        "windows": windows.count,
        "available_windows": windows.available,
        "tokens": windows.count * windows.rows,
        "seconds": run.seconds,
    }


def _series(scores: Scores) -> dict[str, Any]:
    """What plots are made of: a number a window, and a number a position."""

    def series(logprobs: Any) -> dict[str, list[float]]:
        losses = -logprobs.astype(np.float64)
        return {"loss_by_window": losses.mean(axis=1).tolist(), "loss_by_position": losses.mean(axis=0).tolist()}

    found: dict[str, Any] = series(scores.logprobs)
    if scores.original_logprobs is not None:
        found["original"] = series(scores.original_logprobs)
    return found
