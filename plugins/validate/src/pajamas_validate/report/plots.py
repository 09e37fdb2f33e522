"""The plots of a report, as SVG that needs nothing else."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pajamas_validate.scores import Scores

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#dd6b20", "#718096"
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
    "ytick.color": _GREY,
    "legend.frameon": False,
}
_POINTS = 48
"""Of a line: the mean of neighbours, for the loss of single positions is mostly noise."""


def divergence(scores: Scores) -> str | None:
    """How the KL divergence is distributed over tokens, on a logarithmic scale; None without an original.

    Infinite ones (tokens that the quantized model holds for impossible) have no place on it and are left out.
    """
    if scores.divergence is None:
        return None
    values = np.maximum(_finite(scores.divergence.ravel()), 1e-9)
    if not len(values):
        return None
    figure, axes = _figure()
    edges = np.logspace(np.log10(values.min()), np.log10(max(values.max(), values.min() * 10)), 60)
    counts, *_ = axes.hist(values, bins=list(edges), color=_BLUE)
    axes.set_ylim(top=1.2 * float(np.max(counts)))  # room for the labels over the bars
    axes.set_xscale("log")
    marks = (("mean", float(values.mean()), -4, "right"), ("99 %", float(np.quantile(values, 0.99)), 4, "left"))
    for name, at, beside, side in marks:
        axes.axvline(at, color=_ORANGE, linewidth=1.2)
        axes.annotate(
            f"{name} {at:.3g}", (at, 1.0), xycoords=("data", "axes fraction"), textcoords="offset points",
            xytext=(beside, -10), ha=side, color=_ORANGE, fontsize=9,
        )  # fmt: skip
    axes.set_xlabel("KL divergence of a token (nats)")
    axes.set_ylabel("tokens")
    return _svg(figure, "Distribution of the KL divergence over tokens")


def loss_by_position(scores: Scores) -> str:
    """The mean loss at each scored position of a window."""
    figure, axes = _figure()
    for values, colour, name in _both(scores):
        line = _thinned(_shown(-values.astype(np.float64).mean(axis=0)))
        axes.plot(np.linspace(0, values.shape[1] - 1, len(line)), line, color=colour, linewidth=1.2, label=name)
    axes.set_xlabel("scored token of a window")
    axes.set_ylabel("mean loss (nats)")
    axes.legend()
    return _svg(figure, "Mean loss by position in the window")


def perplexity_by_window(scores: Scores) -> str:
    """Each window's perplexity: quantized against original as points, or along the text without an original."""
    figure, axes = _figure()
    candidate = _shown(np.exp(-scores.logprobs.astype(np.float64).mean(axis=1)))
    if scores.original_logprobs is None:
        axes.plot(np.arange(1, len(candidate) + 1), candidate, ".", color=_BLUE)
        axes.set_xlabel("window")
        axes.set_ylabel("perplexity")
        return _svg(figure, "Perplexity of each window")
    from matplotlib.ticker import LogLocator

    original = _shown(np.exp(-scores.original_logprobs.astype(np.float64).mean(axis=1)))
    both = _finite(np.concatenate([candidate, original]))
    ends = (float(both.min()), float(both.max())) if len(both) else (1.0, 10.0)
    axes.plot(ends, ends, color=_GREY, linewidth=1, linestyle="--", label="equal")
    axes.plot(original, candidate, ".", color=_BLUE, label="a window")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):  # 20, not 2 × 10¹
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.set_xlabel("original's perplexity")
    axes.set_ylabel("quantized model's perplexity")
    axes.legend()
    return _svg(figure, "Perplexity of each window, original against quantized")


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values[np.isfinite(values)], np.float64)


def _shown(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With gaps where a value is infinite."""
    return np.where(np.isfinite(values), values, np.nan)


def _both(scores: Scores) -> list[tuple[NDArray[np.float32], str, str]]:
    found = [(scores.logprobs, _BLUE, "quantized")]
    if scores.original_logprobs is not None:
        found.insert(0, (scores.original_logprobs, _ORANGE, "original"))
    return found


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most `_POINTS` means of neighbours."""
    if len(values) <= _POINTS:
        return values
    return np.array([part.mean() for part in np.array_split(values, _POINTS)])


def _figure() -> tuple[Figure, Axes]:
    import matplotlib as mpl
    from matplotlib.figure import Figure as NewFigure  # not pyplot, which keeps figures and looks for a display

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its stub wants literal names
        figure = NewFigure(figsize=(6.0, 3.4), layout="constrained")
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
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
