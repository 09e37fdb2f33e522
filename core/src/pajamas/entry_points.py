"""The entry points of plugins, read from metadata with the standard library alone: `pajamas --help` needs them.

`importlib.metadata.entry_points` gives up on everything when one distribution's file is damaged; here only that one
is lost, and is told of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PROJECT = "pajamas"
BACKENDS_GROUP = "pajamas.backends"
PLUGINS_GROUP = "pajamas.plugins"
COMMANDS_GROUP = "pajamas.commands"
OPERATIONS_GROUP = "pajamas.operations"
GROUPS = (BACKENDS_GROUP, PLUGINS_GROUP, COMMANDS_GROUP, OPERATIONS_GROUP)

DISABLE_VARIABLE = "PAJAMAS_DISABLE_PLUGINS"

_VALUE = re.compile(r"[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\])?")


class EntryPoint(NamedTuple):
    """One line of one distribution's entry_points.txt, with what its metadata says of the distribution."""

    group: str
    name: str
    value: str
    """The module, or `module:object`."""
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    summary: str = ""
    problem: str | None = None
    """What is damaged: such an entry point cannot be used."""

    def is_disabled(self, names: frozenset[str]) -> bool:
        return self.name in names or canonical(self.distribution) in {canonical(name) for name in names}


class _Facts(NamedTuple):
    name: str
    version: str
    requires: tuple[str, ...]
    summary: str
    problem: str | None


def entry_points() -> list[EntryPoint]:
    """Those of every installed distribution in the groups of pajamas, sorted by name and distribution."""
    import importlib.metadata

    found: dict[str, list[EntryPoint]] = {}
    for distribution in importlib.metadata.distributions():
        points = list(_of(distribution))
        # Of two copies on sys.path the first is what an import finds.
        if points and canonical(points[0].distribution) not in found:
            found[canonical(points[0].distribution)] = points
    return sorted((point for points in found.values() for point in points), key=lambda point: (point[1], point[3]))


def disabled_names() -> frozenset[str]:
    """What the environment disables: names of entry points and of distributions."""
    return frozenset(name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip())


def canonical(name: str) -> str:
    """A distribution's name as all its spellings are compared (the packaging specifications, "Names")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of(distribution: Distribution) -> Iterator[EntryPoint]:
    text, damage = "", None
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError) as error:
        damage = f"its entry_points.txt cannot be read: {error}"
    if not _section_or_blank(text):
        damage = "its entry_points.txt is damaged: it names no group"
    if damage and _folder(distribution)[0].startswith(PROJECT):
        facts = _facts(distribution)
        yield EntryPoint(PLUGINS_GROUP, facts.name, "", *facts[:-1], problem=damage)
        return
    if f"[{PROJECT}." not in text:
        return
    facts = _facts(distribution)
    for group, name, value in _lines(text):
        problem = facts.problem
        if not name or not _VALUE.fullmatch(value):
            name, problem = name or facts.name, f"its entry point {f'{name} = {value}'.strip()!r} names no module"
        yield EntryPoint(group, name, value, *facts[:-1], problem=problem)


def _section_or_blank(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return not lines or any(line.startswith("[") and line.endswith("]") for line in lines)


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """(group, name, value) of each line in the groups of pajamas; a line without "=" has an empty value."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and not line.startswith(("#", ";")) and group in GROUPS:
            name, _, value = line.partition("=")
            yield group, name.strip(), value.strip()


def _facts(distribution: Distribution) -> _Facts:
    """From METADATA, and what that lacks from the folder's name."""
    folder_name, folder_version = _folder(distribution)
    try:
        metadata = distribution.metadata
        name, version, summary = ((metadata.get_all(field) or [""])[0] for field in ("Name", "Version", "Summary"))
        requires = tuple(distribution.requires or ())
    except Exception as error:  # guarded: what a damaged METADATA raises differs between versions of Python
        problem = f"its METADATA cannot be read: {type(error).__name__}: {error}"
        return _Facts(folder_name, folder_version, (), "", problem)
    lacking = [field for field, value in (("Name", name), ("Version", version)) if not value]
    damage = f"its METADATA has no {' and no '.join(lacking)}" if lacking else None
    return _Facts(name or folder_name, version or folder_version, requires, summary, damage)


def _folder(distribution: Distribution) -> tuple[str, str]:
    """Name and version as the folder `name-version.dist-info` states them."""
    # The path is no part of the public interface; without it there is only less to say about what is damaged.
    stem = os.path.splitext(os.path.basename(str(getattr(distribution, "_path", ""))))[0]
    name, _, version = stem.partition("-")
    return canonical(name) or "(unknown distribution)", version or "?"
