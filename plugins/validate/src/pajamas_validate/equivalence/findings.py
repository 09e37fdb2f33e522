"""Comparisons as findings: a value, JSON's own types in `details`, and the lines that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import asdict

from pajamas.types import Finding
from pajamas_validate.equivalence.candidate import Candidate
from pajamas_validate.equivalence.figures import Figures
from pajamas_validate.equivalence.floor import Floor
from pajamas_validate.equivalence.greedy import Comparison
from pajamas_validate.equivalence.loss import Loss
from pajamas_validate.equivalence.reading import ReadingDifference
from pajamas_validate.equivalence.settings import SettingDifference
from pajamas_validate.equivalence.weights import WeightCheck

_SHOWN = 5
"""Differences of one kind that are printed; all of them are in the details."""


def of_reading(metric: str, noun: str, count: int, differences: Sequence[ReadingDifference]) -> Finding:
    same, label = f"the same, {count} {noun}", f"{metric.capitalize()}:"
    sentences = [difference.sentence for difference in differences if difference.form is None]
    normalized = sorted({difference.text for difference in differences if difference.form is not None})
    if normalized:
        same = f"{count - len(normalized)} of {count} {noun} alike, {len(normalized)} in one Unicode normal form only"
        sentences += [f"Alike in one Unicode normal form only: {', '.join(normalized)}."] if sentences else []
    return Finding(
        metric=metric,
        value=float(len(differences)),
        unit="differences",
        lines=_listed(label, same, sentences),
        details={"compared": count, "differences": [asdict(difference) for difference in differences]},
    )


def of_settings(count: int, differences: Sequence[SettingDifference]) -> Finding:
    return Finding(
        metric="settings",
        value=float(len(differences)),
        unit="differences",
        lines=_listed("Settings:", f"the same, {count} compared", [difference.sentence for difference in differences]),
        details={"compared": count, "differences": [asdict(difference) for difference in differences]},
    )


def of_weights(label: str, check: WeightCheck) -> Finding:
    """Of one model against its own original."""
    same = f"{check.compared} tensors the same as the original's" if check.compared else "none to compare"
    return Finding(
        metric="weights",
        value=float(len(check.differences)),
        unit="differences",
        lines=_listed(
            "Unquantized:", f"{label}: {same}", [f"{label}: {found.sentence}" for found in check.differences]
        ),
        details={"model": label} | asdict(check),
    )


def of_float32(
    pair: tuple[str, str], figures: Figures, floor: Floor | None, limit: float, updated: Sequence[str]
) -> Finding:
    """Of a pair whose engines both compute in float32: the test for a conversion fault.

    Args:
        updated: engines that are here in another version than the floor was measured with.
    """
    by_depth = ", ".join(f"{depth.tokens}: {_small(depth.distance.mean)}" for depth in figures.depths)
    where = "no floor was measured for these engines" if floor is None else f"their engines' floor is {floor.origin}"
    where += f" (here: {', '.join(updated)})" if updated else ""
    return Finding(
        metric="float32-kld",
        value=figures.worst,
        unit="nats",
        lines=(
            ("Float32:", f"{_and(pair)}: {_distance(figures)}; a fault is above {limit:g}"),
            ("", f"by depth: {by_depth}"),
        ),
        notes=(f"{_and(pair)} in float32: {where}.",),
        details=_details(pair, figures) | {"limit": limit, "floor": None if floor is None else asdict(floor)},
    )


def of_native(pair: tuple[str, str], figures: Figures, *, quantized: bool) -> Finding:
    """Of a pair as they are: no test, for rounding and quantization are in it."""
    return Finding(
        metric="native-kld",
        value=figures.distance.mean,
        unit="nats",
        lines=(("As they are:", f"{_and(pair)}: {_distance(figures)}"),),
        details=_details(pair, figures) | {"quantized": quantized},
    )


def of_loss(model: Candidate, loss: Loss) -> Finding:
    what = f"{model.label}: mean KLD {_small(loss.distance.forth)} from its original at {loss.bits:.2f} bits a weight"
    lines = [("Quantization loss:", f"{what}, same top token {loss.distance.agreement:.1f} %")]
    if loss.suspicious:
        lines.append(("", f"Out of proportion: {loss.sentence}"))
    return Finding(
        metric="quantization-loss",
        value=loss.distance.forth,
        unit="nats",
        lines=tuple(lines),
        details={"model": model.label} | asdict(loss) | {"suspicious": loss.suspicious, "usual": loss.usual},
    )


def of_greedy(comparison: Comparison) -> Finding:
    pair = comparison.first, comparison.second
    total = len(comparison.similarities)
    parted = [place for place in comparison.divergences if place is not None]
    where = f", the others part at token {min(parted)} or later" if parted else ""
    text = f"{_and(pair)}: {comparison.same} of {total} answers the same{where}; similarity {comparison.similarity:.3f}"
    return Finding(
        metric="greedy-similarity",
        value=comparison.similarity,
        lines=(("Greedy:", text),),
        details=asdict(comparison) | {"same": comparison.same},
    )


def of_verdict(status: str, faults: Sequence[str], open_questions: Sequence[str], notes: Sequence[str]) -> Finding:
    if faults:
        line = f"CONVERSION FAULT ({len(faults)})"
    elif status == "pass":
        line = "no conversion fault"
    else:
        line = "measured, not judged"
    lines = [("Status:", line), *(("", fault) for fault in faults[:_SHOWN]), *(("", text) for text in open_questions)]
    if len(faults) > _SHOWN:
        lines.append(("", f"... and {len(faults) - _SHOWN} more."))
    return Finding(
        metric="verdict",
        value=float(status == "pass"),
        lines=tuple(lines),
        notes=tuple(notes),
        details={"status": status, "line": line, "faults": list(faults), "open": list(open_questions)},
    )


def _listed(label: str, same: str, sentences: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if not sentences:
        return ((label, same),)
    rest = [f"... and {len(sentences) - _SHOWN} more."] if len(sentences) > _SHOWN else []
    return (
        (label, f"{len(sentences)} difference{'s' if len(sentences) > 1 else ''}"),
        *(("", text) for text in [*sentences[:_SHOWN], *rest]),
    )


def _distance(figures: Figures) -> str:
    found = figures.distance
    ties = f" with {found.ties} tie{'s' if found.ties > 1 else ''}" if found.ties else ""
    return f"mean KLD {_small(found.forth)} and {_small(found.back)}, same top token {found.agreement:.1f} %{ties}"


def _details(pair: tuple[str, str], figures: Figures) -> dict[str, Any]:
    depths = [{"tokens": depth.tokens} | asdict(depth.distance) for depth in figures.depths]
    return {"models": list(pair)} | asdict(figures.distance) | {"depths": depths}


def _and(pair: tuple[str, str]) -> str:
    return f"{pair[0]} and {pair[1]}"


def _small(value: float) -> str:
    return f"{value:.2g}"
