"""One backend's hooks as typed methods: with `plugins.py` the only place that calls hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

from pajamas.errors import PajamasError, PluginLoadError, UnsupportedFeature
from pajamas.hookspecs import BACKENDS_GROUP

if TYPE_CHECKING:
    from pajamas.modelfiles import ModelFiles
    from pajamas.plugin_entries import PluginEntry
    from pajamas.types import (
        Architecture,
        Artifact,
        BackendInfo,
        Chunk,
        GenerateRequest,
        LoadOptions,
        QuantizeJob,
        Session,
    )

T = TypeVar("T")


class Backend:
    """Calls one backend; cross-cutting plugins that wrap its hooks stay in force."""

    def __init__(self, name: str, entry: PluginEntry, manager: pluggy.PluginManager) -> None:
        self.name = name
        self.entry = entry
        self._manager = manager

    def _hook(self, hook: str) -> pluggy.HookCaller:
        mine = f"{BACKENDS_GROUP}:{self.name}"
        others = [
            plugin
            for key, plugin in self._manager.list_name_plugin()
            if key.startswith(f"{BACKENDS_GROUP}:") and key != mine
        ]
        return self._manager.subset_hook_caller(hook, others)

    def describe(self, *, thorough: bool = False) -> BackendInfo:
        """Raises PluginLoadError where the plugin fails to describe itself: such a backend cannot be chosen."""
        try:
            info = cast("BackendInfo | None", self._hook("describe")(thorough=thorough))
        except PajamasError:
            raise
        except Exception as error:  # guarded: a plugin's fault is named as such
            raise PluginLoadError(
                f"{self.entry.label} failed in describe.",
                f"{type(error).__name__}: {error}",
                f"Tell the authors of {self.entry.distribution}.",
            ) from error
        if info is None:
            raise PluginLoadError(f"{self.entry.label} does not describe itself.", "It has no `describe` hook.")
        return info

    def detect_architecture(self, files: ModelFiles) -> Architecture | None:
        return cast("Architecture | None", self._hook("detect_architecture")(files=files))

    def quantize(self, job: QuantizeJob) -> Artifact:
        return self._answer(cast("Artifact | None", self._hook("quantize")(job=job)), f"make {job.format!r} artifacts")

    def load(self, artifact: Artifact, options: LoadOptions) -> Session:
        answer = cast("Session | None", self._hook("load")(artifact=artifact, options=options))
        return self._answer(answer, f"load {artifact.format!r} artifacts")

    def generate(self, session: Session, request: GenerateRequest) -> Iterator[Chunk]:
        answer = cast("Iterator[Chunk] | None", self._hook("generate")(session=session, request=request))
        return self._answer(answer, "generate with this session")

    def _answer(self, answer: T | None, what: str) -> T:
        if answer is None:
            raise UnsupportedFeature(
                f"Backend {self.name!r} cannot {what}.",
                f"{self.entry.label} has no hook for it, or says that it is not its own.",
                "See `pajamas plugins` for what each backend can do.",
            )
        return answer
