"""How `generate`, `chat` and `demo` load a model: with a sign of life on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pajamas.cli import output
from pajamas.cli.state import plugin_host
from pajamas.core import run

if TYPE_CHECKING:
    from pajamas.runtime import Runtime
    from pajamas.types import Feature


def load(
    ctx: click.Context,
    *,
    model: str | None,
    backend: str | None = None,
    isolated: bool = False,
    explain: bool = False,
    needs: frozenset[Feature] = frozenset(),
    **options: Any,
) -> Runtime:
    """Load `model`, and with `explain` say which backend was chosen and why."""
    with output.progress(keep=False, doing=f"Loading {model or 'the default model'}") as progress:
        runtime = run(
            "load",
            path=model,
            backend=backend,
            isolated=isolated,
            needs=needs,
            progress=progress,
            host=plugin_host(ctx),
            **{name: value for name, value in options.items() if value is not None},
        )
    if explain:
        for reason in runtime.reasons:
            output.say(reason, err=True)
    return runtime
