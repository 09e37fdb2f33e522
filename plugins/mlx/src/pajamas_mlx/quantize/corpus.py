"""The text that layers are measured on where nobody has named one and the model brings none along."""

from __future__ import annotations

from importlib.resources import files

from pajamas.calibration import Corpus

GENERAL = "general.txt"
"""A text of many kinds that comes with this plugin."""


def general_corpus() -> Corpus:
    text = files("pajamas_mlx.quantize").joinpath(GENERAL).read_text(encoding="utf-8")
    return Corpus(text=text, name=GENERAL, samples=1)
