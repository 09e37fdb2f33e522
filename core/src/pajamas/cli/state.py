"""What the group's options leave for its commands, and options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from pajamas.cli import completion

if TYPE_CHECKING:
    from pajamas.plugins import PluginHost

F = TypeVar("F", bound=Callable[..., Any])


@frozen(kw_only=True)
class State:
    backend: str | None = None
    verbose: bool = False
    trace_hooks: bool = False

    def host(self) -> PluginHost:
        from pajamas.plugins import PluginHost

        return PluginHost(trace=self.trace_hooks)


def plugin_host(ctx: click.Context) -> PluginHost:
    """The plugins for this command, traced if `--trace-hooks` says so."""
    state = ctx.obj if isinstance(ctx.obj, State) else State()
    return state.host()


def backend_option(function: F) -> F:
    """`--backend` after the command too; there it wins over the one before it."""

    def pick(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
        return value or (ctx.obj.backend if isinstance(ctx.obj, State) else None)

    return click.option(
        "--backend",
        metavar="NAME",
        callback=pick,
        shell_complete=lambda ctx, parameter, incomplete: completion.backends(incomplete),
        help="A backend (`pajamas plugins` lists them) or a device (cuda, metal, cpu).",
    )(function)


def refuse_backend(ctx: click.Context, command: str) -> None:
    """For commands that no backend could change: the option is refused, not ignored."""
    if isinstance(ctx.obj, State) and ctx.obj.backend:
        raise click.UsageError(f"--backend has no meaning for {command}.")


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(function)
