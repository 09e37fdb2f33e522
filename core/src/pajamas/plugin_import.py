"""Importing what an entry point names; whatever goes wrong is that plugin's fault, and harms nobody else."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from pajamas.entry_points import COMMANDS_GROUP, DISABLE_VARIABLE, OPERATIONS_GROUP
from pajamas.errors import PluginConflict, PluginLoadError
from pajamas.plugin_entries import PluginEntry


@frozen(kw_only=True)
class Imported:
    object: Any
    """The module, or what the entry point names in it."""
    notes: tuple[str, ...]
    """What the import did beside, and should not: it was kept from having an effect."""


def check_claims(entries: Sequence[PluginEntry]) -> PluginEntry:
    """The one entry among those of one group and name that can be imported.

    Raises:
        PluginConflict: two distributions claim the name.
        PluginLoadError: it is disabled, damaged, or made for other versions of pajamas.
    """
    usable = [entry for entry in entries if not entry.disabled]
    if not usable:
        entry = entries[0]
        raise PluginLoadError(
            f"{entry.label} is not used.",
            f"disabled by {DISABLE_VARIABLE}",
            f"Take {entry.name} or {entry.distribution} out of {DISABLE_VARIABLE}.",
        )
    entry = usable[0]
    if len(usable) > 1:
        raise PluginConflict(
            f"Two distributions offer {entry.name!r}.",
            f"{' and '.join(f'{entry.distribution} {entry.version}' for entry in usable)} both claim it.",
            f"Uninstall one of them (pip uninstall {entry.distribution}), or name it in {DISABLE_VARIABLE}.",
        )
    if entry.problem:
        raise PluginLoadError(
            f"{entry.label} cannot be used with this pajamas.",
            entry.problem,
            f"pip install -U pajamas {entry.distribution}",
        )
    return entry


def import_entry(entry: PluginEntry) -> Imported:
    """Import what `entry` names, and check that it is what its group holds.

    What is printed is not shown and what is set in `os.environ` is set back; both are noted.

    Raises:
        PluginLoadError: the import raised, ended the program, or gave something else than its group holds.
    """
    point = importlib.metadata.EntryPoint(name=entry.name, value=entry.module, group=entry.group)
    notes: list[str] = []
    try:
        with _contained(notes):
            found = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # guarded: a plugin's import may raise anything, SystemExit too
        raise PluginLoadError(
            f"{entry.label} could not be imported.",
            f"{type(error).__name__}: {error}",
            f"Reinstall or uninstall {entry.distribution}.",
        ) from error
    if wanted := _misfit(entry.group, found):
        raise PluginLoadError(
            f"{entry.label} is not {wanted}.",
            f"It is of the type {type(found).__name__}, and an entry point of {entry.group} names {wanted}.",
            f"Tell the authors of {entry.distribution}, or uninstall it.",
        )
    return Imported(object=found, notes=tuple(notes))


def _misfit(group: str, found: object) -> str | None:
    """What should have been found, if it was not."""
    if group == COMMANDS_GROUP:
        import click

        return None if isinstance(found, click.Command) else "a click command"
    if group == OPERATIONS_GROUP:
        return None if callable(found) else "a function"
    return None


@contextlib.contextmanager
def _contained(notes: list[str]) -> Iterator[None]:
    before = dict(os.environ)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        changed = sorted(name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name))
        for name in changed:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
        if printed.getvalue().strip():
            line = printed.getvalue().strip().splitlines()[0]
            notes.append(f"it prints when it is imported, which is not shown: {line[:80]!r}")
        if changed:
            notes.append(f"it sets {', '.join(changed)} in the environment when it is imported, which is set back")
