"""The plots of a report, as SVG that needs nothing else."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pajamas_bench.results import CandidateResult
from pajamas_bench.statistics import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#b83280", "#718096")
_GREY = "#718096"
_STYLE = {
    "svg.fonttype": "none",  # letters stay letters: small, selectable, in the page's own font
    "svg.hashsalt": "pajamas",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": "#2d3748",
    "xtick.color": _GREY,
    "ytick.color": "#2d3748",
}
_POINTS = 60
"""Of a line: medians of neighbours."""


def speeds(candidates: Sequence[CandidateResult]) -> str | None:
    """Generation speed of every run, case by case, with its median and the ceiling."""
    names = list(dict.fromkeys(case.name for one in candidates for case in one.cases))
    figure, axes = _figure(height=1.4 + 0.42 * len(names) * len(candidates))
    thick = 0.5 if len(candidates) == 1 else 0.32
    drawn = False
    for number, one in enumerate(candidates):
        for case in one.cases:
            speed = case.figure("generation-speed")
            if speed is None:
                continue
            row = names.index(case.name) + (number - (len(candidates) - 1) / 2) * 0.36
            colour, label = _COLOURS[number], one.name if not drawn or case is one.cases[0] else None
            axes.barh(row, speed.median, thick, color=colour, alpha=0.25, label=label)
            axes.plot(speed.values, [row] * len(speed.values), "o", color=colour, markersize=4)
            if case.ceiling:
                axes.plot([case.ceiling] * 2, [row - thick / 2, row + thick / 2], color=_GREY, linewidth=2)
            drawn = True
    if not drawn:
        return None
    if any(case.ceiling for one in candidates for case in one.cases):
        axes.plot([], [], color=_GREY, linewidth=2, label="ceiling by memory bandwidth")
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("generated tokens a second")
    _legend(figure)
    return _svg(figure, "Generation speed of every run")


def latencies(candidates: Sequence[CandidateResult]) -> str | None:
    """How long each token took, along the answer: medians over the runs."""
    figure, axes = _figure()
    lines = [(one, case) for one in candidates for case in one.cases if len(case.latencies) > 1]
    for number, (one, case) in enumerate(lines[: len(_COLOURS)]):
        places, values = _thinned([1e3 * value for value in case.latencies])
        label = case.name if len(candidates) == 1 else f"{one.name}: {case.name}"
        axes.plot(places, values, color=_COLOURS[number], linewidth=1.2, label=_plain(label))
    if not lines:
        return None
    axes.set_ylim(bottom=0)
    axes.set_xlabel("token of the answer")
    axes.set_ylabel("ms since the one before")
    _legend(figure)
    return _svg(figure, "Latency of tokens along the answer")


def by_context(candidates: Sequence[CandidateResult]) -> str | None:
    """Prompt and generation speed against the length of the context; None for less than two."""
    return _scaling(
        candidates,
        [case.name for case in candidates[0].cases if case.name.startswith("context ")],
        lambda case: case.prompt_tokens + case.generated,
        (("prompt-speed", "prompt"), ("generation-speed", "generation")),
        ("tokens of context", "tokens a second", "Speed by length of the context"),
    )


def by_concurrency(candidates: Sequence[CandidateResult]) -> str | None:
    """Speed of all requests together against how many there are; None for less than two."""
    return _scaling(
        candidates,
        [case.name for case in candidates[0].cases if case.concurrency],
        lambda case: case.concurrency or 0,
        (("generation-speed", "all together"),),
        ("requests at once", "tokens a second of all", "Speed by requests at once"),
    )


def _scaling(
    candidates: Sequence[CandidateResult],
    names: Sequence[str],
    place: Any,
    metrics: Sequence[tuple[str, str]],
    labels: tuple[str, str, str],
) -> str | None:
    if len(names) < 2:
        return None
    figure, axes = _figure()
    for number, one in enumerate(candidates):
        cases = sorted((case for case in one.cases if case.name in names), key=place)
        for style, (metric, word) in zip(("o-", "s--"), metrics, strict=False):
            found = [(place(case), speed) for case in cases if (speed := case.figure(metric))]
            label = word if len(candidates) == 1 else f"{one.name}: {word}"
            axes.errorbar(
                [at for at, _ in found],
                [speed.median for _, speed in found],
                yerr=[
                    [speed.median - speed.low for _, speed in found],
                    [speed.high - speed.median for _, speed in found],
                ],
                fmt=style, color=_COLOURS[number], markersize=5, linewidth=1.2, capsize=3, label=_plain(label),
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    places = [place(case) for case in candidates[0].cases if case.name in names]
    axes.set_xticks(places, [f"{at:,}" for at in places])
    axes.set_xticks([], minor=True)
    _plain_numbers(axes)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    _legend(figure)
    return _svg(figure, labels[2])


def _plain_numbers(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator

    axes.yaxis.set_major_formatter("{x:,g}")  # 20, not 2 × 10¹
    axes.yaxis.set_minor_formatter("{x:,g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))


def _thinned(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Places and medians of at most `_POINTS` groups of neighbours."""
    step = max(1, -(-len(values) // _POINTS))
    groups = [(start, values[start : start + step]) for start in range(0, len(values), step)]
    return [2 + start + (len(group) - 1) / 2 for start, group in groups], [median(group) for _, group in groups]


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)


def _plain(text: str) -> str:
    """Dollars would begin a formula."""
    return text.replace("$", r"\$")


def _figure(height: float = 3.4) -> tuple[Figure, Axes]:
    import matplotlib as mpl
    from matplotlib.figure import Figure as NewFigure  # not pyplot, which keeps figures and looks for a display

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its stub wants literal names
        figure = NewFigure(figsize=(6.0, height), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: Figure, title: str) -> str:
    import matplotlib as mpl

    written = io.StringIO()
    nothing: dict[str, Any] = {"Date": None, "Creator": None}
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # as above
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)  # it names addresses, and the page names none
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
