"""What the shell offers for a value that is half typed. No engine is imported for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def backends(incomplete: str) -> list[CompletionItem]:
    """Installed backends, by their metadata, and device words."""
    from click.shell_completion import CompletionItem

    from pajamas.dispatch import DEVICES
    from pajamas.plugins import PluginHost

    names = [*PluginHost().backend_names(), *DEVICES]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def environments(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names that `pajamas env` takes."""
    from click.shell_completion import CompletionItem

    from pajamas.operations.environments import list_environments

    found = list_environments()
    return [CompletionItem(one.name, help=one.state) for one in found if one.name.startswith(incomplete)]


def models(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Aliases, and files."""
    from click.shell_completion import CompletionItem

    from pajamas.errors import PajamasError
    from pajamas.operations.resolving import known_aliases
    from pajamas.plugins import PluginHost

    try:
        aliases = known_aliases(PluginHost()).known
    except PajamasError:  # a wrong configuration file: the command itself will say so
        aliases = {}
    found = [CompletionItem(name, help=source) for name, source in aliases.items() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]
