"""What is installed, told from metadata alone: nothing here imports a plugin."""

from __future__ import annotations

import importlib.metadata
import os

from attrs import frozen

from pajamas.hookspecs import PROJECT

DISABLE_VARIABLE = "PAJAMAS_DISABLE_PLUGINS"


@frozen(kw_only=True)
class PluginEntry:
    """One entry point of one installed distribution; nothing is imported to know it."""

    name: str
    group: str
    distribution: str
    version: str
    module: str
    core_range: str
    """The versions of pajamas that the distribution says it works with; empty if it does not say."""
    disabled: bool = False
    problem: str | None = None
    """Why it cannot be used, as far as metadata tells: an incompatible range, or a name claimed twice."""

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}: {self.module}"


def core_version() -> str:
    return importlib.metadata.version(PROJECT)


def find_entries(group: str, disabled: frozenset[str] | None = None) -> list[PluginEntry]:
    """The group's entry points, sorted by name, with what their metadata says against them."""
    if disabled is None:
        disabled = frozenset(name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip())
    entries = []
    for point in importlib.metadata.entry_points(group=group):
        distribution = point.dist
        core_range = _core_range(distribution)
        entries.append(
            PluginEntry(
                name=point.name,
                group=group,
                distribution=distribution.name if distribution else "(unknown distribution)",
                version=distribution.version if distribution else "?",
                module=point.value,
                core_range=core_range,
                disabled=point.name in disabled,
                problem=_range_problem(core_range),
            )
        )
    entries.sort(key=lambda entry: (entry.name, entry.distribution))
    return entries


def _core_range(distribution: importlib.metadata.Distribution | None) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in (distribution.requires if distribution else None) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == PROJECT and requirement.marker is None:
            return str(requirement.specifier)
    return ""


def _range_problem(core_range: str) -> str | None:
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(core_range).contains(core_version(), prereleases=True):
        return None
    return f"it needs pajamas{core_range}, and this is pajamas {core_version()}"
