"""Plugins: found by entry-point metadata, imported one by one when needed, each guarded.

A broken plugin never breaks a command that does not need it: it is remembered, logged as a warning once, and becomes an
error only where it was chosen by name. One that nobody chose is tried in a child process before it is trusted here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pajamas.backend import Backend
from pajamas.entry_points import BACKENDS_GROUP, DISABLE_VARIABLE, OPERATIONS_GROUP, PROJECT
from pajamas.errors import PluginConflict, PluginError, UsageError
from pajamas.hook_calls import call
from pajamas.plugin_import import check_claims
from pajamas.plugin_loader import PluginLoader

if TYPE_CHECKING:
    from pajamas.types import Finding, ReportJob, ValidateJob, ValidationPlan

trace_log = logging.getLogger("pajamas.trace")
"""Which hooks are called with what; a level of its own decides whether it is heard."""


class PluginHost(PluginLoader):
    """Finds, imports and calls plugins. Make one for each program; nothing is shared between two hosts.

    Args:
        disabled: names of entry points and distributions that are not used; None is what the environment says.
        trace: log each call of a hook.
    """

    def __init__(self, *, disabled: frozenset[str] | None = None, trace: bool = False) -> None:
        from pajamas import aliases

        super().__init__(disabled)
        if trace:
            self.manager.trace.root.setwriter(lambda text: trace_log.info("%s", text.rstrip()))
            self.manager.enable_tracing()
        self.manager.register(aliases, PROJECT)

    def backend_names(self) -> list[str]:
        """Names that `--backend` accepts."""
        return self.names(BACKENDS_GROUP)

    def backend(self, name: str) -> Backend:
        """Import one backend, which was asked for.

        Raises:
            UsageError: no distribution offers it.
            PluginConflict: two distributions claim the name.
            PluginLoadError: it is disabled or incompatible, or importing or registering it failed.
        """
        claims = self.claims(BACKENDS_GROUP, name)
        if not claims:
            raise UsageError(
                f"There is no backend {name!r}.",
                f"Installed backends: {', '.join(self.backend_names()) or 'none'}.",
                f"If a distribution offers it, install it: pip install pajamas-{name}",
            )
        self.load(BACKENDS_GROUP, name)
        return Backend(name, check_claims(claims), self)

    def tried_backend(self, name: str) -> Backend:
        """Import one that is installed and that nobody asked for by name. Raises what `load_tried` raises."""
        self.load_tried(BACKENDS_GROUP, name)
        return self.backend(name)

    def working_backends(self, names: Iterable[str] | None = None) -> Iterator[Backend]:
        """Those of `names` (all, in order) that can be imported; a broken one is warned of and passed over."""
        for name in self.backend_names() if names is None else names:
            try:
                yield self.tried_backend(name)
            except PluginError as error:
                self.warn_of(BACKENDS_GROUP, name, error)

    def operation(self, name: str) -> Callable[..., Any] | None:
        """The function that a plugin offers as `name`, or None if none does. Raises what `load` raises."""
        found: Callable[..., Any] | None = None
        if self.claims(OPERATIONS_GROUP, name):
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
        found: dict[str, tuple[str, str]] = {}  # metric to its line and the plugin that offers it
        for name, offered in self._offers("validation_metrics"):
            for metric, line in offered.items():
                if metric in found:
                    raise PluginConflict(
                        f"Two plugins offer the metric {metric!r}.",
                        f"{self.label(found[metric][1])} and {self.label(name)} both claim it.",
                        f"Disable one of them with {DISABLE_VARIABLE}.",
                    )
                found[metric] = (line, name)
        return {metric: line for metric, (line, _) in sorted(found.items())}

    def check_validation(self, plan: ValidationPlan) -> None:
        """Let every plugin refuse what it would not measure.

        Raises:
            PajamasError: what one refuses.
            PluginError: one fails otherwise than on purpose; it is named.
        """
        self.prepare("check_validation")
        call(self.manager.hook.check_validation, self.label, plan=plan)

    def validate(self, job: ValidateJob) -> list[Finding]:
        """What every plugin finds.

        Raises:
            PluginError: one fails otherwise than on purpose, or answers something else; it is named.
        """
        from pajamas.types import Finding

        self.prepare("validate")
        caller = self.manager.hook.validate
        found = []
        for answer in call(caller, self.label, job=job):
            if not isinstance(answer, list) or not all(isinstance(item, Finding) for item in answer):
                suspects = " or ".join(self.label(each.plugin_name) for each in caller.get_hookimpls())
                raise PluginError(
                    f"{suspects} failed in validate.", f"It answers {answer!r:.200}, not a list of findings."
                )
            found += answer
        return found

    def report(self, job: ReportJob) -> list[Path]:
        """The files that plugins have written a validation up in.

        Raises:
            PluginError: one fails otherwise than on purpose, or answers something else; it is named.
        """
        self.prepare("report")
        caller = self.manager.hook.report
        written = []
        for answer in call(caller, self.label, job=job):
            if not isinstance(answer, Path):
                suspects = " or ".join(self.label(each.plugin_name) for each in caller.get_hookimpls())
                raise PluginError(f"{suspects} failed in report.", f"It answers {answer!r:.200}, not a path.")
            written.append(answer)
        return written

    def offer(self, hook: str, name: str) -> Mapping[str, str]:
        """What the plugin of that registered name answers to a hook that returns names with a text each.

        Raises:
            PluginError: it fails, or answers something else.
        """
        plugin = self.manager.get_plugin(name)
        others = [other for other in self.manager.get_plugins() if other is not plugin]
        (answer,) = call(self.manager.subset_hook_caller(hook, others), self.label) or [{}]
        if not isinstance(answer, Mapping) or not all(
            isinstance(part, str) for pair in answer.items() for part in pair
        ):
            raise PluginError(
                f"{self.label(name)} failed in {hook}.",
                f"It answers {answer!r:.200}, not a mapping of text to text.",
                "",
            )
        return answer

    def _offers(self, hook: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        self.prepare(hook)
        for name, _ in self.manager.list_name_plugin():
            if name.startswith(f"{BACKENDS_GROUP}:"):
                continue  # whether one is imported yet is chance
            try:
                offered = self.offer(hook, name)
            except PluginError as error:  # one plugin's fault must not take away what the others offer
                self.warn_of(hook, name, error)
                continue
            yield name, offered
