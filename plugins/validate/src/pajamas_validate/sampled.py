"""Scores against a reference: the divergence over its kept tokens and its sample of the others (see `reference`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pajamas_validate.reference import SAMPLE
from pajamas_validate.scores import WindowScores
from pajamas_validate.scoring import Begun, blocks, right_logprobs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pajamas.session import Session
    from pajamas_validate.reference import Record
    from pajamas_validate.windows import Windows


def score_by_reference(candidate: Session, record: Record, windows: Windows, number: int) -> Begun:
    """The candidate's scores of a window, the divergence with the standard error that the sample gives it."""
    targets = windows.targets(number)
    rows = windows.rows
    logprobs, divergence, error = (np.empty(rows, np.float32) for _ in range(3))
    same_top = np.empty(rows, np.bool_)
    row = 0
    for block in blocks(candidate, windows, number):
        logprobs[row : row + len(block)] = right_logprobs(block, targets[row : row + len(block)])
        same_top[row : row + len(block)] = block.argmax(axis=1) == first_ids(record)[row : row + len(block)]
        for values in block:
            divergence[row], error[row] = estimate(record, row, values)
            row += 1
    scores = WindowScores(
        logprobs=logprobs,
        original_logprobs=record.right,
        divergence=divergence,
        divergence_error=error,
        same_top=same_top,
    )
    return Begun(scores=scores)


def first_ids(record: Record) -> NDArray[np.uint32]:
    """The most likely token of each row."""
    first: NDArray[np.uint32] = record.ids[np.cumsum(record.counts, dtype=np.int64) - record.counts]
    return first


def estimate(record: Record, row: int, values: NDArray[np.float32]) -> tuple[float, float]:
    """The divergence at `row` of a candidate's log-probabilities [vocabulary], and its standard error."""
    end = int(record.counts[: row + 1].sum(dtype=np.int64))
    kept = slice(end - int(record.counts[row]), end)
    drawn = slice(row * SAMPLE, (row + 1) * SAMPLE)
    logs, differences = _differences(record.ids[kept], record.logprobs[kept], values)
    exact = float((np.exp(logs) * differences).sum())
    tail = float(record.tail[row])
    if tail == 0.0:
        return exact, 0.0
    _, differences = _differences(record.sample_ids[drawn], record.sample_logprobs[drawn], values)
    if not np.isfinite(differences).all():
        return float(exact + differences.sum()), 0.0
    return float(exact + tail * differences.mean()), tail * float(np.sqrt(differences.var() / (SAMPLE - 1)))


def _differences(
    ids: NDArray[np.uint32], logprobs: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log p, and log(p / q) which is 0 for tokens that the candidate's vocabulary lacks: only what both have counts."""
    logs = logprobs.astype(np.float64)
    here = ids < len(values)
    found = np.zeros(len(ids))
    found[here] = logs[here] - values[ids[here]]
    return logs, found
