"""Seconds on the command line."""

from __future__ import annotations

import math
from typing import Any

import click

_MOST = 10**9
"""Thirty years: clocks of event loops take no more than some centuries."""


class Seconds(click.FloatRange):
    """A finite number of seconds, none of them negative.

    Args:
        zero: whether it may be 0.
    """

    name = "seconds"

    def __init__(self, *, zero: bool = True) -> None:
        super().__init__(min=0, max=_MOST, min_open=not zero)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # which is in every range
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds
