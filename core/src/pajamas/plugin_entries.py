"""What is installed, and what its metadata says against it: nothing here imports a plugin."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from attrs import frozen

from pajamas.entry_points import GROUPS, PROJECT, EntryPoint, canonical, disabled_names, entry_points


@frozen(kw_only=True)
class PluginEntry:
    """One entry point of one installed distribution; nothing is imported to know it."""

    name: str
    group: str
    distribution: str
    version: str
    module: str
    """`module`, or `module:object`."""
    core_range: str
    """The versions of pajamas that the distribution says it works with; empty if it does not say."""
    disabled: bool = False
    problem: str | None = None
    """Why it cannot be used, as far as metadata tells: it is damaged, or for other versions of pajamas."""

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}: {self.module or self.name}"


def core_version() -> str:
    return importlib.metadata.version(PROJECT)


def find_all(disabled: frozenset[str] | None = None) -> dict[str, list[PluginEntry]]:
    """The entry points of each group, sorted by name.

    Args:
        disabled: names of entry points and distributions; None is what the environment says.
    """
    disabled = disabled_names() if disabled is None else disabled
    found: dict[str, list[PluginEntry]] = {group: [] for group in GROUPS}
    for point in entry_points():
        found[point.group].append(_entry(point, disabled))
    return found


def unmatched(disabled: frozenset[str], entries: Iterable[PluginEntry]) -> list[str]:
    """Those of the disabled names that nothing installed has, sorted."""
    entries = list(entries)
    names = {entry.name for entry in entries}
    distributions = {canonical(entry.distribution) for entry in entries}
    return sorted(name for name in disabled if name not in names and canonical(name) not in distributions)


def _entry(point: EntryPoint, disabled: frozenset[str]) -> PluginEntry:
    core_range, problem = _core_range(point.requires)
    return PluginEntry(
        name=point.name,
        group=point.group,
        distribution=point.distribution,
        version=point.version,
        module=point.value,
        core_range=core_range,
        disabled=point.is_disabled(disabled),
        problem=point.problem or problem or _range_problem(core_range),
    )


def _core_range(requires: Iterable[str]) -> tuple[str, str | None]:
    """The versions of pajamas that fit, and what is wrong with the lines that could have said so."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    ranges = []
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return "", f"its METADATA has a damaged line, Requires-Dist: {text}"
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and canonicalize_name(requirement.name) == PROJECT and str(requirement.specifier):
            ranges.append(str(requirement.specifier))
    return ",".join(ranges), None


def _range_problem(core_range: str) -> str | None:
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(core_range).contains(core_version(), prereleases=True):
        return None
    return f"it needs pajamas{core_range}, and this is pajamas {core_version()}"
