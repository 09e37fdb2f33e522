"""`pajamas validate --equivalence A B`: options in, the operation, output and exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pajamas.cli.plugin import plugin_host, print_json, progress, say, say_field
from pajamas.core import run
from pajamas.errors import UsageError

if TYPE_CHECKING:
    from pajamas_validate.equivalence.record import EquivalenceResult

_WIDTH = 23
_FAULT = 5
_TAKEN = {"text", "windows", "context", "threads", "original", "backend", "prompts"}
_ALWAYS = {"equivalence", "models", "as_json"}


def compare(ctx: click.Context, models: Sequence[str], *, as_json: bool, options: dict[str, Any]) -> None:
    """Ends with exit code 5 where there is a conversion fault.

    Args:
        options: every option of the command `validate`; those that were given must have a meaning here.

    Raises:
        UsageError: an option has none, or a wrong number of models.
        PajamasError: what the operation raises.
    """
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    if strange := sorted(given - _TAKEN - _ALWAYS):
        named = ", ".join(_flag(ctx, name) for name in strange)
        raise UsageError(f"{named} and --equivalence do not go together.", "", "Leave one of them out.")
    arguments = {name: options[name] for name in _TAKEN if options.get(name) is not None}
    with progress(keep=False, doing="Loading") as shown:
        result: EquivalenceResult = run(  # type: ignore[call-overload]  # core has signatures for its own operations only
            "equivalence", models=models, progress=shown, host=plugin_host(ctx), **arguments
        )
    if as_json:
        print_json(result)
    else:
        for note in result.notes:
            say(note, err=True)
        for label, text in result.lines:
            say_field(label, text, width=_WIDTH)
    ctx.exit(_FAULT if result.status == "fail" else 0)


def _flag(ctx: click.Context, name: str) -> str:
    return next(parameter.opts[0] for parameter in ctx.command.params if parameter.name == name)
