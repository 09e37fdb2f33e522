"""Plugins: found by entry-point metadata, imported one by one when needed, each guarded.

A broken plugin never breaks a command that does not need it: it is remembered, logged as a warning once, and becomes an
error only where it was chosen by name. One that nobody chose is tried in a child process before it is trusted here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from pajamas import hookspecs
from pajamas.backend import Backend
from pajamas.entry_points import (
    BACKENDS_GROUP,
    DISABLE_VARIABLE,
    OPERATIONS_GROUP,
    PLUGINS_GROUP,
    PROJECT,
    disabled_names,
)
from pajamas.errors import PluginConflict, PluginError, PluginLoadError, UsageError
from pajamas.hook_calls import call
from pajamas.module_source import may_define
from pajamas.plugin_entries import PluginEntry, find_all, unmatched
from pajamas.plugin_import import Imported, check_claims, import_entry

if TYPE_CHECKING:
    from pajamas.examination import Examination
    from pajamas.types import BackendInfo, Finding, ValidateJob

log = logging.getLogger(__name__)
trace_log = logging.getLogger("pajamas.trace")
"""Which hooks are called with what; a level of its own decides whether it is heard."""


class PluginHost:
    """Finds, imports and calls plugins. Make one for each program; nothing is shared between two hosts.

    Args:
        disabled: names of entry points and distributions that are not used; None is what the environment says.
        trace: log each call of a hook.
    """

    def __init__(self, *, disabled: frozenset[str] | None = None, trace: bool = False) -> None:
        from pajamas import aliases

        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if trace:
            self._manager.trace.root.setwriter(lambda text: trace_log.info("%s", text.rstrip()))
            self._manager.enable_tracing()
        self._disabled = disabled_names() if disabled is None else disabled
        self._entries = find_all(self._disabled)
        self._imported: dict[tuple[str, str], Imported] = {}
        self._broken: dict[tuple[str, str], PluginError] = {}
        self._warned: set[tuple[str, str]] = set()
        self._ready: set[str] = set()
        self._examined: dict[PluginEntry, Examination] = {}
        self._manager.register(aliases, PROJECT)
        if disabled is None:
            for name in unmatched(self._disabled, [entry for group in self._entries.values() for entry in group]):
                log.warning("%s names %s, and no plugin or distribution is called so.", DISABLE_VARIABLE, name)

    # --- what is installed -------------------------------------------------------------------------------------------

    def entries(self, group: str) -> list[PluginEntry]:
        return list(self._entries[group])

    def names(self, group: str) -> list[str]:
        """What the group offers, each name once, without what is disabled; some may turn out to be broken."""
        return sorted({entry.name for entry in self._entries[group] if not entry.disabled})

    def backend_names(self) -> list[str]:
        """Names that `--backend` accepts."""
        return self.names(BACKENDS_GROUP)

    def examine(self, entries: Iterable[PluginEntry], *, thorough: bool = False) -> dict[PluginEntry, Examination]:
        """Try plugins in child processes, so that none can harm or delay this one: what each offers, and its problem.

        Args:
            thorough: have backends try their engines too, which takes longer; such answers are not remembered.
        """
        from pajamas.examination import examine

        entries = list(entries)
        known = {} if thorough else self._examined
        known |= examine(
            [entry for entry in entries if entry not in known],
            claims=self._claims,
            disabled=self._disabled,
            thorough=thorough,
        )
        return {entry: known[entry] for entry in entries}

    # --- backends ----------------------------------------------------------------------------------------------------

    def backend(self, name: str) -> Backend:
        """Import one backend, which was asked for.

        Raises:
            UsageError: no distribution offers it.
            PluginConflict: two distributions claim the name.
            PluginLoadError: it is disabled or incompatible, or importing or registering it failed.
        """
        claims = self._claims(BACKENDS_GROUP, name)
        if not claims:
            raise UsageError(
                f"There is no backend {name!r}.",
                f"Installed backends: {', '.join(self.backend_names()) or 'none'}.",
                f"If a distribution offers it, install it: pip install pajamas-{name}",
            )
        self.load(BACKENDS_GROUP, name)
        return self._backend(check_claims(claims))

    def tried_backend(self, name: str) -> Backend:
        """One that nobody asked for by name: known from a try in a child process, and imported when it is used.

        Raises:
            PluginError: it failed there, or as `backend` raises.
        """
        key = (BACKENDS_GROUP, name)
        if key in self._imported or key in self._broken:
            return self.backend(name)
        entry = check_claims(self._claims(*key))
        others = [
            other for other in self._entries[BACKENDS_GROUP] if (BACKENDS_GROUP, other.name) not in self._imported
        ]
        found = self.examine(others)[entry]
        if found.problem:
            raise PluginLoadError(
                f"{entry.label} does not work.", found.problem, f"Update or uninstall {entry.distribution}."
            )
        return self._backend(entry, found.info)

    def working_backends(self, names: Iterable[str] | None = None) -> Iterator[Backend]:
        """Those of `names` (all, in order) that work; a broken one is warned of and passed over."""
        for name in self.backend_names() if names is None else names:
            try:
                yield self.tried_backend(name)
            except PluginError as error:
                self._warn(BACKENDS_GROUP, name, error)

    def warn(self, broken: Mapping[str, PluginError]) -> None:
        """Say once that these backends are passed over, and why; of one that somebody has disabled, nothing."""
        for name, error in broken.items():
            if name in self.backend_names():
                self._warn(BACKENDS_GROUP, name, error)

    def _backend(self, entry: PluginEntry, info: BackendInfo | None = None) -> Backend:
        return Backend(
            entry,
            self._manager,
            load=lambda: self.load(BACKENDS_GROUP, entry.name),
            prepare=self._prepare,
            label=self._label,
            info=info,
        )

    # --- what other plugins add --------------------------------------------------------------------------------------

    def operation(self, name: str) -> Callable[..., Any] | None:
        """The function that a plugin offers as `name`, or None if none does. Raises what `load` raises."""
        found: Callable[..., Any] | None = None
        if self._claims(OPERATIONS_GROUP, name):
            found = self.load(OPERATIONS_GROUP, name)
        return found

    def aliases(self) -> list[tuple[str, Mapping[str, str]]]:
        """What each plugin calls models: (plugin name, alias to source). One that fails is warned of."""
        return list(self._offers("model_aliases"))

    def metrics(self) -> dict[str, str]:
        """What the installed plugins measure: metric to one line that says what it is, sorted.

        Raises:
            PluginConflict: two plugins claim one name.
        """
        claims: dict[str, tuple[str, str]] = {}  # metric to its line and the plugin that offers it
        for name, offered in self._offers("validation_metrics"):
            for metric, line in offered.items():
                if metric in claims:
                    raise PluginConflict(
                        f"Two plugins offer the metric {metric!r}.",
                        f"{self._label(claims[metric][1])} and {self._label(name)} both claim it.",
                        f"Disable one of them with {DISABLE_VARIABLE}.",
                    )
                claims[metric] = (line, name)
        return {metric: line for metric, (line, _) in sorted(claims.items())}

    def offer(self, hook: str, name: str) -> Mapping[str, str]:
        """What the plugin of that registered name answers to a hook that returns names with a text each.

        Raises:
            PluginError: it fails, or answers something else.
        """
        plugin = self._manager.get_plugin(name)
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        (answer,) = call(self._manager.subset_hook_caller(hook, others), self._label) or [{}]
        if not isinstance(answer, Mapping) or not all(
            isinstance(part, str) for pair in answer.items() for part in pair
        ):
            raise PluginError(
                f"{self._label(name)} failed in {hook}.",
                f"It answers {answer!r:.200}, not a mapping of text to text.",
                "",
            )
        return answer

    def validate(self, job: ValidateJob) -> list[Finding]:
        """What every plugin finds.

        Raises:
            PluginError: one fails otherwise than on purpose; it is named.
        """
        self._prepare("validate")
        answers: list[list[Finding]] = call(self._manager.hook.validate, self._label, job=job)
        return [finding for answer in answers for finding in answer]

    def _offers(self, hook: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        self._prepare(hook)
        for name, _ in self._manager.list_name_plugin():
            if name.startswith(f"{BACKENDS_GROUP}:"):
                continue  # whether one is imported yet is chance
            try:
                offered = self.offer(hook, name)
            except PluginError as error:  # one plugin's fault must not take away what the others offer
                self._warn(hook, name, error)
                continue
            yield name, offered

    # --- importing ---------------------------------------------------------------------------------------------------

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
                entry = check_claims(self._claims(group, name))
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

    def notes(self, group: str, name: str) -> tuple[str, ...]:
        """What an imported plugin did that it should not."""
        return self._imported[group, name].notes

    def _register(self, entry: PluginEntry, plugin: object) -> None:
        key = f"{entry.group}:{entry.name}"
        try:
            self._manager.register(plugin, key)
            self._manager.check_pending()
        except Exception as error:
            if self._manager.has_plugin(key):
                self._manager.unregister(name=key)
            raise PluginLoadError(
                f"{entry.label} could not be registered.",
                f"{type(error).__name__}: {error}",
                f"Tell the authors of {entry.distribution}, or uninstall it.",
            ) from error

    def _prepare(self, hook: str) -> None:
        """Import the cross-cutting plugins that may implement or wrap `hook`, told by their source; no others."""
        if hook in self._ready:
            return
        self._ready.add(hook)
        for name in self.names(PLUGINS_GROUP):
            claims = self._claims(PLUGINS_GROUP, name)
            module, _, rest = claims[0].module.partition(":")
            if len(claims) == 1 and not claims[0].problem and not rest and not may_define(module, hook):
                continue
            try:
                self.load(PLUGINS_GROUP, name)
            except PluginError as error:
                self._warn(PLUGINS_GROUP, name, error)

    def _claims(self, group: str, name: str) -> list[PluginEntry]:
        return [entry for entry in self._entries[group] if entry.name == name]

    def _label(self, key: str) -> str:
        """What a registered name is called in messages."""
        group, _, name = key.partition(":")
        return next((entry.label for entry in self._claims(group, name) if not entry.disabled), key) if name else key

    def _warn(self, group: str, name: str, error: PluginError) -> None:
        if (group, name) not in self._warned:
            self._warned.add((group, name))
            log.warning("Plugin %s is left out: %s", name, " ".join(str(error).splitlines()))
