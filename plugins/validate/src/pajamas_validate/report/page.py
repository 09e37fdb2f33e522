"""The report as one HTML page that needs no network and no script."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

from attrs import frozen

from pajamas.types import TensorInfo
from pajamas_validate.behaviour import Answer, Behaviour, Sample

_WORDS = re.compile(r"\s+|[^\s\w]|\w+")
_OPEN = 3
"""Cases that are open when the page is; the others a click away."""
Piece = tuple[str, str]
"""How a piece of text is marked ("", "del", "ins"), and the piece."""


@frozen(kw_only=True)
class Page:
    """What the page shows, from top to bottom; an empty field leaves its section out."""

    title: str
    subtitle: str
    status: str
    """As it is printed: "PASS (< 5 %)"."""
    status_kind: str
    """"pass", "fail", "unresolved" or "measured": its colour."""
    reasons: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    plots: tuple[tuple[str, str], ...] = ()
    """SVG and caption."""
    samples: tuple[dict[str, Any], ...] = ()
    types: tuple[dict[str, str], ...] = ()
    tensors: tuple[TensorInfo, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    footer: str = ""


def render(page: Page) -> str:
    """The page's HTML. Every text is escaped; the only markup taken as it is are the plots, which are ours."""
    from jinja2 import Environment, StrictUndefined

    template = (resources.files("pajamas_validate.report") / "page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(template).render(page=page)


def type_rows(tensors: Sequence[TensorInfo]) -> tuple[dict[str, str], ...]:
    """The tensors by type, the largest share first."""
    counts, sizes = Counter[str](), Counter[str]()
    for tensor in tensors:
        counts[tensor.type] += 1
        sizes[tensor.type] += tensor.size
    total = sum(sizes.values()) or 1
    return tuple(
        {"type": kind, "count": f"{counts[kind]:,}", "size": f"{size:,}", "share": f"{100 * size / total:.1f} %"}
        for kind, size in sizes.most_common()
    )


def sample_rows(behaviour: Behaviour) -> tuple[dict[str, Any], ...]:
    """The cases, those that went wrong or apart first and open."""
    rows = sorted(map(_row, behaviour.samples), key=lambda row: (not row["worse"], not row["apart"]))
    for row in rows[:_OPEN]:
        row["open"] = row["worse"] or row["apart"]
    return tuple(rows)


def marked(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces, marked word by word where they differ."""
    one, other = _WORDS.findall(left), _WORDS.findall(right)
    lefts: list[Piece] = []
    rights: list[Piece] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        same = kind == "equal"
        if j > i:
            lefts.append(("" if same else "del", "".join(one[i:j])))
        if m > k:
            rights.append(("" if same else "ins", "".join(other[k:m])))
    return lefts, rights


def _row(sample: Sample) -> dict[str, Any]:
    quantized, baseline = sample.quantized, sample.baseline
    sides = []
    if quantized is not None and baseline is not None:
        left, right = marked(_said(baseline), _said(quantized))
        sides = [_side("original", baseline, left), _side("quantized", quantized, right)]
    elif quantized is not None:
        sides = [_side("quantized", quantized, [("", _said(quantized))])]
    apart = sample.match is False
    return {
        "prompt": sample.prompt + (f"  ({sample.mode})" if sample.mode == "thinking" else ""),
        "tag": _tag(sample),
        "apart": apart,
        "worse": bool(sample.regressions),
        "open": False,
        "not_run": sample.not_run,
        "sides": sides,
    }


def _side(name: str, answer: Answer, pieces: list[Piece]) -> dict[str, Any]:
    return {"name": name, "reasoning": answer.reasoning.strip(), "pieces": pieces, "faults": answer.faults}


def _said(answer: Answer) -> str:
    return "\n".join(part for part in (answer.text.strip(), *answer.tool_calls) if part)


def _tag(sample: Sample) -> str:
    if sample.not_run:
        return "not run"
    if sample.match is None:
        return "with faults" if sample.quantized and sample.quantized.faults else "no fault"
    if sample.match:
        return "same answer"
    return f"differs from token {sample.first_divergence} on, {sample.similarity or 0:.0%} alike"
