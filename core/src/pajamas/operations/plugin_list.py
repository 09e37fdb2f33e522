"""What plugins are installed, what each adds, and which of them cannot be used and why."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from pajamas.entry_points import BACKENDS_GROUP, COMMANDS_GROUP, GROUPS, OPERATIONS_GROUP, PLUGINS_GROUP
from pajamas.plugin_entries import PluginEntry
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo

_KINDS = {
    BACKENDS_GROUP: "backend",
    PLUGINS_GROUP: "plugin",
    COMMANDS_GROUP: "command",
    OPERATIONS_GROUP: "operation",
}


@frozen(kw_only=True)
class PluginStatus:
    """One entry point of an installed distribution."""

    name: str
    kind: str
    """"backend", "plugin" (one with other hooks), "command" or "operation"."""
    distribution: str
    version: str
    module: str
    """`module`, or `module:object`."""
    problem: str | None
    """Why it is not used: disabled, incompatible, broken, its name is core's own or claimed twice."""
    disabled: bool = False
    info: BackendInfo | None = None
    """What a working backend says of itself."""
    aliases: Mapping[str, str] = field(factory=dict)
    """Short names for models that a plugin adds, each with what it stands for."""
    metrics: Mapping[str, str] = field(factory=dict)
    """What a plugin measures, each with one line that says what it is."""
    notes: tuple[str, ...] = ()
    """What it does that it should not, though it works."""


def list_plugins(*, thorough: bool = False, host: PluginHost | None = None) -> tuple[PluginStatus, ...]:
    """Every installed plugin, each tried in a child process: that is how a broken one is found.

    Args:
        thorough: have backends try their engines too, which takes longer.
    """
    host = host or PluginHost()
    reserved = _reserved()
    entries = [entry for group in GROUPS for entry in host.entries(group)]
    tried = host.examine((entry for entry in entries if (entry.group, entry.name) not in reserved), thorough=thorough)
    return tuple(
        PluginStatus(
            name=entry.name,
            kind=_KINDS[entry.group],
            distribution=entry.distribution,
            version=entry.version,
            module=entry.module,
            problem=found.problem if (found := tried.get(entry)) else _overridden(entry),
            disabled=entry.disabled,
            info=found.info if found else None,
            aliases=found.aliases if found else {},
            metrics=found.metrics if found else {},
            notes=found.notes if found else (),
        )
        for entry in entries
    )


def _reserved() -> set[tuple[str, str]]:
    """Names that core keeps to itself."""
    from pajamas.cli.main import COMMANDS
    from pajamas.core import OPERATIONS

    return {*((COMMANDS_GROUP, name) for name in COMMANDS), *((OPERATIONS_GROUP, name) for name in OPERATIONS)}


def _overridden(entry: PluginEntry) -> str:
    kind = _KINDS[entry.group]
    return f"pajamas has {'an' if kind == 'operation' else 'a'} {kind} {entry.name!r} of its own, which stays"
