"""Finding, trying and importing plugins: everything about them but what their hooks answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from pajamas import hookspecs, verdicts
from pajamas.entry_points import BACKENDS_GROUP, DISABLE_VARIABLE, PLUGINS_GROUP, PROJECT, disabled_names
from pajamas.errors import PluginError, PluginLoadError
from pajamas.module_source import may_define
from pajamas.plugin_entries import PluginEntry, find_all, unmatched
from pajamas.plugin_import import Imported, check_claims, import_entry

if TYPE_CHECKING:
    from pajamas.examination import Examination

log = logging.getLogger(__name__)


class PluginLoader:
    """What is installed, and how it gets into this process.

    Args:
        disabled: names of entry points and distributions that are not used; None is what the environment says.
    """

    def __init__(self, disabled: frozenset[str] | None) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self._disabled = disabled_names() if disabled is None else disabled
        self._entries = find_all(self._disabled)
        self._imported: dict[tuple[str, str], Imported] = {}
        self._broken: dict[tuple[str, str], PluginError] = {}
        self._warned: set[tuple[str, str]] = set()
        self._ready: set[str] = set()
        if disabled is None:
            for name in unmatched(self._disabled, [entry for group in self._entries.values() for entry in group]):
                log.warning("%s names %s, and no plugin or distribution is called so.", DISABLE_VARIABLE, name)

    def entries(self, group: str) -> list[PluginEntry]:
        return list(self._entries[group])

    def names(self, group: str) -> list[str]:
        """What the group offers, each name once, without what is disabled; some may turn out to be broken."""
        return sorted({entry.name for entry in self._entries[group] if not entry.disabled})

    def claims(self, group: str, name: str) -> list[PluginEntry]:
        """Who offers that name."""
        return [entry for entry in self._entries[group] if entry.name == name]

    def label(self, key: str) -> str:
        """What a registered name is called in messages."""
        group, _, name = key.partition(":")
        if not name:
            return key
        return next((entry.label for entry in self.claims(group, name) if not entry.disabled), key)

    def examine(self, entries: Iterable[PluginEntry], *, thorough: bool = False) -> dict[PluginEntry, Examination]:
        """Try plugins in child processes, so that none can harm or delay this one: what each offers, and its problem.

        Args:
            thorough: have backends try their engines too, which takes longer.
        """
        from pajamas.examination import Examination, examine

        entries = list(entries)
        found: dict[PluginEntry, Examination] = {}
        sound = []
        for entry in entries:
            try:
                # A disabled one is looked at by itself: with whom it shares its name is not its problem.
                check_claims([entry] if entry.disabled else self.claims(entry.group, entry.name))
                sound.append(entry)
            except PluginError as error:
                found[entry] = Examination(problem=error.why)
        tried = examine(sound, disabled=self._disabled, thorough=thorough)
        if tried and not thorough:  # whether an engine works is another question than whether the plugin does
            verdicts.remember({entry: result.problem if result.harmful else None for entry, result in tried.items()})
        found |= tried
        return {entry: found[entry] for entry in entries}

    def load(self, group: str, name: str) -> Any:
        """Import one entry point, once; one with hooks is registered.

        Raises:
            PluginError: it is claimed twice, disabled, incompatible or broken.
        """
        key = (group, name)
        if key in self._broken:
            raise self._broken[key]
        if key not in self._imported:
            try:
                entry = check_claims(self.claims(group, name))
                found = import_entry(entry)
                if group in (BACKENDS_GROUP, PLUGINS_GROUP):
                    self._register(entry, found.object)
            except PluginError as error:
                self._broken[key] = error
                raise
            self._imported[key] = found
            for note in found.notes:
                log.info("%s: %s.", entry.label, note)
        return self._imported[key].object

    def load_tried(self, group: str, name: str) -> Any:
        """Import one that nobody chose, if a try in a child process did not show that this would do harm.

        Raises:
            PluginError: it would, or as `load` raises.
        """
        key = (group, name)
        if key not in self._imported and key not in self._broken:
            entry = check_claims(self.claims(group, name))
            known, harm = verdicts.recall(entry)
            if not known:
                found = self.examine(other for other in self._entries[group] if not other.disabled)[entry]
                harm = found.problem if found.harmful else None
            if harm:
                self._broken[key] = PluginLoadError(
                    f"{entry.label} does not work.",
                    f"When it was tried, {harm}.",
                    f"Update or uninstall {entry.distribution}; `pajamas plugins` tries it again.",
                )
        return self.load(group, name)

    def notes(self, group: str, name: str) -> tuple[str, ...]:
        """What an imported plugin did that it should not."""
        return self._imported[group, name].notes

    def prepare(self, hook: str) -> None:
        """Import the cross-cutting plugins that may implement or wrap `hook`, told by their source; no others."""
        if hook in self._ready:
            return
        self._ready.add(hook)
        for name in self.names(PLUGINS_GROUP):
            module, _, inner = self.claims(PLUGINS_GROUP, name)[0].module.partition(":")
            if not inner and not may_define(module, hook):
                continue
            try:
                self.load_tried(PLUGINS_GROUP, name)
            except PluginError as error:
                self.warn_of(PLUGINS_GROUP, name, error)

    def warn(self, broken: Mapping[str, PluginError]) -> None:
        """Say once that these backends are passed over, and why; of one that somebody has disabled, nothing."""
        for name, error in broken.items():
            if name in self.names(BACKENDS_GROUP):
                self.warn_of(BACKENDS_GROUP, name, error)

    def warn_of(self, group: str, name: str, error: PluginError) -> None:
        """Say once that a plugin is left out, and why."""
        if (group, name) not in self._warned:
            self._warned.add((group, name))
            log.warning("Plugin %s is left out: %s", name, " ".join(str(error).splitlines()))

    def _register(self, entry: PluginEntry, plugin: object) -> None:
        key = f"{entry.group}:{entry.name}"
        try:
            self.manager.register(plugin, key)
            self.manager.check_pending()
        except Exception as error:
            if self.manager.has_plugin(key):
                self.manager.unregister(name=key)
            raise PluginLoadError(
                f"{entry.label} could not be registered.",
                f"{type(error).__name__}: {error}",
                f"Tell the authors of {entry.distribution}, or uninstall it.",
            ) from error
