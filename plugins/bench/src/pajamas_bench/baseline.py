"""Figures of an earlier benchmark, from the file that `--json` wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cattrs

from pajamas.errors import UsageError
from pajamas_bench.cases import Key
from pajamas_bench.metrics import METRICS
from pajamas_bench.results import SCHEMA, BenchmarkResult, CandidateResult


def read(path: Path) -> BenchmarkResult:
    """A result of one model.

    Raises:
        UsageError: the file cannot be read, is none of ours, or holds two models.
    """
    try:
        data = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"The baseline {path} cannot be read.", str(error), _FIX) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f"{path} is no benchmark of this version.", f"Its schema is not {SCHEMA}.", _FIX)
    try:
        result = cattrs.structure(data, BenchmarkResult)
    except Exception as error:  # cattrs raises groups of whatever a wrong value gives rise to
        raise UsageError(f"{path} is no benchmark.", "It lacks fields, or they hold something else.", _FIX) from error
    if len(result.candidates) != 1:
        why = f"It holds {len(result.candidates)}, and which is meant cannot be told."
        raise UsageError(f"The baseline {path} is not of one model.", why, _FIX)
    _check(result.candidates[0], path)
    return result


def check_cases(baseline: BenchmarkResult, keys: list[Key], path: Path) -> None:
    """Raises UsageError where the baseline has none of the cases: nothing could be compared."""
    there = [case.key for case in baseline.candidates[0].cases]
    if not set(there) & set(keys):
        named = ", ".join(f"{name!r} with {count} tokens" for name, _, count in there)
        raise UsageError(
            f"The baseline {path} has none of the cases that are measured.",
            f"It has {named or 'none'}.",
            "Measure with the prompt and the options that the baseline was measured with.",
        )


def _check(candidate: CandidateResult, path: Path) -> None:
    figures = [candidate.load, candidate.peak_memory, *(figure for case in candidate.cases for figure in case.figures)]
    for figure in figures:
        numbers = (*figure.values, figure.median)
        possible = all(math.isfinite(number) and number >= 0 for number in numbers) and figure.median > 0
        if figure.metric not in METRICS or not figure.values or not possible:
            raise UsageError(f"{path} is no benchmark.", f"Its figure {figure.metric!r} makes no sense.", _FIX)


_FIX = "Write one with: pajamas benchmark --model M --json > FILE.json"
