"""A report's folder: `report.json`, and the page `index.html`."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pajamas import manifest
from pajamas.errors import UsageError
from pajamas_validate.atomic import atomic
from pajamas_validate.report import plots
from pajamas_validate.report.page import Page, render, sample_rows, type_rows
from pajamas_validate.report.record import record
from pajamas_validate.samples import behaviour_of
from pajamas_validate.scores import SCORES, read

if TYPE_CHECKING:
    from pajamas.manifest import Receipt
    from pajamas.types import ReportJob
    from pajamas.validation import Measured
    from pajamas_validate.scores import Scores

_CAPTIONS = (
    (plots.divergence, "How far single tokens are from the original: most are near, the tail is what hurts."),
    (plots.loss_by_position, "Loss along the window; a gap that grows points at positions or the cache."),
    (plots.perplexity_by_window, "The windows of the text; points above the line are worse than the original."),
)


def write_report(job: ReportJob) -> Path:
    """Write both files, each complete or not at all; the page's path.

    Plots need the scores of every token, which the validation has left in the folder.

    Raises:
        UsageError: the folder cannot be written to.
    """
    folder, result = job.folder, job
    measured = result.finding("perplexity")
    scores = read(folder / SCORES, measured.details["tokens_sha256"]) if measured else None
    found = manifest.find_receipt(result.artifact.path)
    receipt = found[1] if found else None
    name = manifest.read(found[0]).name if found else result.artifact.path.stem
    page = folder / "index.html"
    text = json.dumps(record(result, receipt), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    html = render(page_of(name, result, receipt, scores))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in ((folder / "report.json", text), (page, html)):
            with atomic(path) as stream:
                stream.write(content.encode())
    except OSError as error:
        raise UsageError(f"The report cannot be written to {folder}.", str(error), "Name another folder.") from error
    return page


def page_of(name: str, result: Measured, receipt: Receipt | None, scores: Scores | None) -> Page:
    """What the page shows of a validation."""
    verdict, samples = result.finding("verdict"), result.finding("samples")
    figures = [(label.rstrip(":"), value) for label, value in result.lines if label]
    scheme = result.artifact.scheme or (receipt.scheme if receipt else None) or result.artifact.format
    tensors = receipt.tensors if receipt else ()
    drawn = [(draw(scores), caption) for draw, caption in _CAPTIONS] if scores is not None else []
    return Page(
        title=f"{name}, {scheme}",
        subtitle=" ".join(result.notes) or ("Answers to prompts." if samples else ""),
        status=str(verdict.details["line"]) if verdict else "measured",
        status_kind=result.status,
        reasons=tuple(judgement["sentence"] for judgement in verdict.details["judgements"]) if verdict else (),
        figures=tuple((label, value) for label, value in figures if label != "Status"),
        plots=tuple((svg, caption) for svg, caption in drawn if svg is not None),
        samples=sample_rows(behaviour_of(samples)) if samples else (),
        types=type_rows(tensors),
        tensors=tensors,
        provenance=_provenance(result, receipt),
        footer=f"Measured with pajamas {version('pajamas')}. Everything in full: report.json beside this page.",
    )


def _provenance(result: Measured, receipt: Receipt | None) -> tuple[tuple[str, str], ...]:
    facts = [("artifact", str(result.artifact.path))]
    if result.original:
        facts.append(("compared with", str(result.original.path)))
    if receipt:
        source = receipt.source
        facts += [
            ("source", source.text + (f" at {source.commit}" if source.commit else "")),
            ("size", f"{receipt.size:,} bytes"),
            ("engine", f"{receipt.engine} {receipt.engine_version or ''}".strip()),
            ("made by", f"{receipt.plugin}, pajamas {receipt.pajamas_version}, {receipt.created}"),
            ("command", receipt.command),
        ]
    measured = result.finding("perplexity")
    if measured:
        facts.append(("text", f"{measured.details['text']}, sha256 {measured.details['text_sha256']}"))
    return tuple((label, value) for label, value in facts if value)
