"""One backend's hooks as typed methods: with `plugins.py` the only place that calls hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pajamas.entry_points import BACKENDS_GROUP
from pajamas.errors import PajamasError, PluginLoadError, UnsupportedFeature
from pajamas.hook_calls import call

if TYPE_CHECKING:
    from pajamas.modelfiles import ModelFiles
    from pajamas.plugin_entries import PluginEntry
    from pajamas.plugin_loader import PluginLoader
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

    def __init__(self, name: str, entry: PluginEntry, plugins: PluginLoader) -> None:
        self.name = name
        self.entry = entry
        self._plugins = plugins

    def _call(self, hook: str, **arguments: Any) -> Any:
        self._plugins.prepare(hook)
        manager = self._plugins.manager
        mine = f"{BACKENDS_GROUP}:{self.name}"
        others = [
            plugin for key, plugin in manager.list_name_plugin() if key.startswith(f"{BACKENDS_GROUP}:") and key != mine
        ]
        return call(manager.subset_hook_caller(hook, others), self._plugins.label, own=mine, **arguments)

    def describe(self, *, thorough: bool = False) -> BackendInfo:
        """Raises PluginLoadError where the plugin fails to describe itself: such a backend cannot be chosen."""
        try:
            info = self._call("describe", thorough=thorough)
        except PajamasError:
            raise
        except Exception as error:  # guarded: a plugin's fault is named as such
            raise self._undescribed(f"{type(error).__name__}: {error}") from error
        if info is None:
            raise PluginLoadError(f"{self.entry.label} does not describe itself.", "It has no `describe` hook.")
        if wrong := _wrong(info, self.name):
            raise self._undescribed(wrong)
        if info.environment is not None and info.unavailable:
            from pajamas.environments.placing import placed

            return placed(info)
        return cast("BackendInfo", info)

    def detect_architecture(self, files: ModelFiles) -> Architecture | None:
        return cast("Architecture | None", self._call("detect_architecture", files=files))

    def quantize(self, job: QuantizeJob) -> Artifact:
        """Raises UnsupportedFeature for an option of the job that the backend does not declare, and what it raises."""
        from pajamas.quantize_options import options_of, refuse_unknown

        refuse_unknown(options_of(job), [self.describe()])
        return self._answer(cast("Artifact | None", self._call("quantize", job=job)), f"make {job.format!r} artifacts")

    def load(self, artifact: Artifact, options: LoadOptions) -> Session:
        answer = cast("Session | None", self._call("load", artifact=artifact, options=options))
        return self._answer(answer, f"load {artifact.format!r} artifacts")

    def generate(self, session: Session, request: GenerateRequest) -> Iterator[Chunk]:
        answer = cast("Iterator[Chunk] | None", self._call("generate", session=session, request=request))
        return self._answer(answer, "generate with this session")

    def _undescribed(self, why: str) -> PluginLoadError:
        return PluginLoadError(
            f"{self.entry.label} failed in describe.", why, f"Tell the authors of {self.entry.distribution}."
        )

    def _answer(self, answer: T | None, what: str) -> T:
        if answer is None:
            raise UnsupportedFeature(
                f"Backend {self.name!r} cannot {what}.",
                f"{self.entry.label} has no hook for it, or says that it is not its own.",
                "See `pajamas plugins` for what each backend can do.",
            )
        return answer


def _wrong(info: object, name: str) -> str | None:
    """What is wrong with a description, as far as core relies on it."""
    from pajamas.types import BackendInfo, Environment, Feature

    if not isinstance(info, BackendInfo):
        return f"It returned {type(info).__name__}, not BackendInfo."
    if info.name != name:
        return f"It calls itself {info.name!r}, and is installed as {name!r}."
    for field in ("formats", "schemes", "devices", "notes"):
        value = getattr(info, field)
        if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
            return f"BackendInfo.{field} is {value!r:.100}, not a tuple of texts."
    for field, optional in (("engine", False), ("fix", False), ("engine_version", True), ("unavailable", True)):
        value = getattr(info, field)
        if not (isinstance(value, str) or (optional and value is None)):
            return f"BackendInfo.{field} is {value!r:.100}, not a text."
    if not isinstance(info.features, frozenset) or not all(isinstance(item, Feature) for item in info.features):
        return f"BackendInfo.features is {info.features!r:.100}, not a frozenset of Feature."
    for field in ("scheme_aliases", "refused_schemes", "file_suffixes", "folder_markers"):
        value = getattr(info, field)
        if not _is_text_mapping(value):
            return f"BackendInfo.{field} is {value!r:.100}, not a mapping of text to text."
    profiles = info.profile_schemes
    if not isinstance(profiles, Mapping) or not all(map(_is_text_mapping, profiles.values())):
        return f"BackendInfo.profile_schemes is {profiles!r:.100}, not a mapping of mappings."
    for field in ("environment", "quantize_environment"):
        value = getattr(info, field)
        if not (value is None or isinstance(value, Environment)):
            return f"BackendInfo.{field} is {value!r:.100}, not an Environment."
        if value is not None and (fault := value.fault()):
            return f"BackendInfo.{field} {fault}."
    if not info.devices and not info.unavailable:
        return "It names no device and does not say why it cannot run."
    return None


def _is_text_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair)
