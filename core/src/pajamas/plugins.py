"""Plugins: found by entry-point metadata, imported one by one when needed, each guarded.

A broken plugin never breaks a command that does not need it: it is remembered as a `Problem`, logged as a warning once,
and becomes an error only where it was chosen by name.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, cast

import pluggy

from pajamas import hookspecs
from pajamas.backend import Backend
from pajamas.errors import PluginConflict, PluginError, PluginLoadError, UsageError
from pajamas.hookspecs import BACKENDS_GROUP, PLUGINS_GROUP, PROJECT
from pajamas.plugin_entries import DISABLE_VARIABLE, PluginEntry, find_entries

if TYPE_CHECKING:
    from pajamas.types import Finding, ValidateJob

log = logging.getLogger(__name__)
trace_log = logging.getLogger("pajamas.trace")
"""Which hooks are called with what; a level of its own decides whether it is heard."""


class PluginHost:
    """Finds, imports and calls plugins. Make one for each program; nothing is shared between two hosts."""

    def __init__(self, *, disabled: frozenset[str] | None = None, trace: bool = False) -> None:
        from pajamas import aliases

        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if trace:
            self._manager.trace.root.setwriter(lambda text: trace_log.info("%s", text.rstrip()))
            self._manager.enable_tracing()
        self._entries = {group: find_entries(group, disabled) for group in (BACKENDS_GROUP, PLUGINS_GROUP)}
        self._broken: dict[tuple[str, str], PluginError] = {}
        self._warned: set[tuple[str, str]] = set()
        self._manager.register(aliases, "pajamas")

    def entries(self, group: str) -> list[PluginEntry]:
        return list(self._entries[group])

    def backend_names(self) -> list[str]:
        """Names that `--backend` accepts, without the disabled ones; some may turn out to be broken."""
        return sorted({entry.name for entry in self._entries[BACKENDS_GROUP] if not entry.disabled})

    def backend(self, name: str) -> Backend:
        """Import one backend.

        Raises:
            UsageError: no distribution offers it.
            PluginConflict: two distributions claim the name.
            PluginLoadError: it is disabled or incompatible, or importing or registering it failed.
        """
        found = [entry for entry in self._entries[BACKENDS_GROUP] if entry.name == name]
        if not found:
            raise UsageError(
                f"There is no backend {name!r}.",
                f"Installed backends: {', '.join(self.backend_names()) or 'none'}.",
                f"If a distribution offers it, install it: pip install pajamas-{name}",
            )
        self._load(BACKENDS_GROUP, name)
        return Backend(name, found[0], self._manager)

    def working_backends(self, names: Iterable[str] | None = None) -> Iterator[Backend]:
        """Those of `names` (all, in order) that can be imported; a broken one is warned of and passed over."""
        for name in self.backend_names() if names is None else names:
            try:
                yield self.backend(name)
            except PluginError as error:
                self._warn(BACKENDS_GROUP, name, error)

    def warn(self, broken: Mapping[str, PluginError]) -> None:
        """Say once that these backends are passed over, and why; of one that somebody has disabled, nothing."""
        for name, error in broken.items():
            if any(entry.name == name and not entry.disabled for entry in self._entries[BACKENDS_GROUP]):
                self._warn(BACKENDS_GROUP, name, error)

    def problem(self, entry: PluginEntry) -> str | None:
        """Import the plugin of `entry` if it was not yet, and say in one line what is wrong with it, or None."""
        if entry.disabled:
            return f"disabled by {DISABLE_VARIABLE}"
        try:
            self._load(entry.group, entry.name)
        except PluginError as error:
            return error.why or error.what
        return None

    def aliases(self) -> list[tuple[str, Mapping[str, str]]]:
        """What each plugin calls models: (plugin name, alias to source)."""
        self._load_cross_cutting()
        found = []
        for name, plugin in self._manager.list_name_plugin():
            caller = self._manager.subset_hook_caller("model_aliases", _others(self._manager, plugin))
            try:
                answers = caller()
            except Exception as error:  # guarded: one plugin's fault must not take the others' aliases away
                log.warning("Plugin %s failed in model_aliases: %s: %s", name, type(error).__name__, error)
                continue
            found += [(name, cast("Mapping[str, str]", answer)) for answer in answers]
        return found

    def metrics(self) -> dict[str, str]:
        """What the installed plugins measure: metric to one line that says what it is, sorted.

        Raises:
            PluginConflict: two plugins claim one name.
            PluginError: a plugin fails to name its metrics, or they are not text.
        """
        self._load_cross_cutting()
        claims: dict[str, tuple[str, str]] = {}  # metric to its line and the plugin that offers it
        for name, plugin in self._manager.list_name_plugin():
            caller = self._manager.subset_hook_caller("validation_metrics", _others(self._manager, plugin))
            for offered in caller():
                for metric, line in offered.items():
                    if metric in claims:
                        raise PluginConflict(
                            f"Two plugins offer the metric {metric!r}.",
                            f"{claims[metric][1]} and {name} both claim it.",
                            f"Disable one of them with {DISABLE_VARIABLE}.",
                        )
                    claims[metric] = (line, name)
        return {metric: line for metric, (line, _) in sorted(claims.items())}

    def validate(self, job: ValidateJob) -> list[Finding]:
        self._load_cross_cutting()
        answers: list[list[Finding]] = self._manager.hook.validate(job=job)
        return [finding for answer in answers for finding in answer]

    def _load_cross_cutting(self) -> None:
        for name in sorted({entry.name for entry in self._entries[PLUGINS_GROUP] if not entry.disabled}):
            try:
                self._load(PLUGINS_GROUP, name)
            except PluginError as error:
                self._warn(PLUGINS_GROUP, name, error)

    def _warn(self, group: str, name: str, error: PluginError) -> None:
        if (group, name) not in self._warned:
            self._warned.add((group, name))
            log.warning("Plugin %s is left out: %s", name, " ".join(str(error).splitlines()))

    def _load(self, group: str, name: str) -> None:
        key = f"{group}:{name}"
        if self._manager.has_plugin(key):
            return
        if (group, name) in self._broken:
            raise self._broken[group, name]
        try:
            self._import_and_register(group, name, key)
        except PluginError as error:
            self._broken[group, name] = error
            raise

    def _import_and_register(self, group: str, name: str, key: str) -> None:
        entries = [entry for entry in self._entries[group] if entry.name == name]
        entry = entries[0]
        if entry.disabled:
            raise PluginLoadError(
                f"{entry.label} is disabled by {DISABLE_VARIABLE}.", "", f"Take {name} out of {DISABLE_VARIABLE}."
            )
        if len(entries) > 1:
            claims = " and ".join(f"{entry.distribution} {entry.version}" for entry in entries)
            raise PluginConflict(
                f"Two distributions offer {name!r}.",
                f"{claims} both claim it.",
                "Uninstall one of them: pip uninstall " + entries[0].distribution,
            )
        if entry.problem:
            raise PluginLoadError(
                f"{entry.label} does not fit this pajamas.",
                entry.problem,
                f"pip install -U pajamas {entry.distribution}",
            )
        module = _import(entry)
        try:
            self._manager.register(module, key)
            self._manager.check_pending()
        except Exception as error:
            if self._manager.has_plugin(key):
                self._manager.unregister(name=key)
            raise PluginLoadError(
                f"{entry.label} could not be registered.",
                f"{type(error).__name__}: {error}",
                f"Tell the authors of {entry.distribution}, or uninstall it.",
            ) from error


def _import(entry: PluginEntry) -> ModuleType:
    point = importlib.metadata.EntryPoint(name=entry.name, value=entry.module, group=entry.group)
    try:
        return cast(ModuleType, point.load())
    except Exception as error:  # guarded: whatever a plugin's import raises is that plugin's fault, and is shown
        raise PluginLoadError(
            f"{entry.label} could not be imported.",
            f"{type(error).__name__}: {error}",
            f"Reinstall or uninstall {entry.distribution}.",
        ) from error


def _others(manager: pluggy.PluginManager, plugin: object) -> list[object]:
    return [other for other in manager.get_plugins() if other is not plugin]
