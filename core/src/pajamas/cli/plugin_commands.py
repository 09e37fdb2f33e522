"""Commands that plugins add, told from metadata and source text: a plugin is imported only to run its command."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import click

from pajamas.entry_points import COMMANDS_GROUP, EntryPoint, disabled_names, entry_points


class Offer(NamedTuple):
    """What the installed plugins offer as one command."""

    points: tuple[EntryPoint, ...]
    """One for each distribution that claims the name."""

    def help(self) -> str:
        """One line: the first of the module's docstring, or the distribution's summary; and whose command it is."""
        from pajamas.module_source import first_line

        owners = " and ".join(f"{point.distribution}" for point in self.points)
        if len(self.points) > 1:
            return f"({owners} both claim it)"
        (point,) = self.points
        return f"{first_line(point.value.partition(':')[0].strip()) or point.summary} ({owners})".strip()


def offers(reserved: Collection[str], wanted: Collection[str] | None = None) -> dict[str, Offer]:
    """The commands that plugins add, by name, without those that are disabled.

    Args:
        reserved: names that stay core's own.
        wanted: what the program offers if a plugin provides it; None is everything.
    """
    disabled = disabled_names()
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points():
        chosen = point.group == COMMANDS_GROUP and (wanted is None or point.name in wanted)
        if chosen and point.name not in reserved and not point.is_disabled(disabled):
            found.setdefault(point.name, []).append(point)
    return {name: Offer(tuple(points)) for name, points in found.items()}


def is_offered(name: str) -> bool:
    """Whether a plugin offers the command, be it disabled or broken."""
    return any(point.group == COMMANDS_GROUP and point.name == name for point in entry_points())


def load(name: str) -> click.Command:
    """Import a plugin's command.

    Raises:
        PluginError: it is disabled, broken, or two distributions claim it.
    """
    from pajamas.plugins import PluginHost

    found = PluginHost().load(COMMANDS_GROUP, name)
    assert isinstance(found, click.Command)  # as the host has checked
    return found
