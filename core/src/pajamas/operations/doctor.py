"""What works on this machine, and what to do about what does not."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from pajamas import store, summary
from pajamas.entry_points import DISABLE_VARIABLE
from pajamas.environments.finding import find
from pajamas.operations import environment_checks
from pajamas.operations.diagnosis import Diagnosis as Diagnosis
from pajamas.operations.diagnosis import State
from pajamas.operations.plugin_list import PluginStatus, list_plugins
from pajamas.plugin_entries import core_version
from pajamas.plugins import PluginHost
from pajamas.types import BackendInfo


def diagnose(*, host: PluginHost | None = None) -> tuple[Diagnosis, ...]:
    """Look at this machine, every plugin and every engine; plugins and engines are tried in child processes."""
    plugins = list_plugins(thorough=True, host=host)
    backends = [plugin for plugin in plugins if plugin.kind == "backend"]
    infos = [plugin.info for plugin in backends if plugin.info]
    return (
        *_machine(),
        *_hub(),
        *(item for plugin in plugins for item in _plugin(plugin)),
        *(item for info in infos for item in _engine(info)),
        *environment_checks.check(plugins),
        *([] if any(not _is_pending(info) for info in infos) else [_no_backend(backends)]),
    )


def _machine() -> list[Diagnosis]:
    folder = store.models_folder()
    free = shutil.disk_usage(_existing(folder)).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        Diagnosis(subject="pajamas", state="ok", finding=f"{core_version()} on Python {platform.python_version()}"),
        Diagnosis(
            subject="machine",
            state="ok",
            finding=f"{platform.system()} {platform.machine()}, {usable_processors()} processors that this process may "
            f"use, {memory / 1e9:.1f} GB memory",
        ),
        Diagnosis(
            subject="models",
            state="ok" if free > 10e9 else "note",
            finding=f"{folder}, {free / 1e9:.1f} GB free",
            fix="" if free > 10e9 else f"An 8B model needs about 25 GB to convert: set {store.FOLDER_VARIABLE}.",
        ),
    ]


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)


def usable_processors() -> int:
    """Processors that the process may be scheduled on; a container's quota is the engines' matter."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hub() -> list[Diagnosis]:
    from huggingface_hub import constants, get_token

    offline = "offline (HF_HUB_OFFLINE is set), " if constants.HF_HUB_OFFLINE else ""
    try:
        token = "with a token" if get_token() else "without a token: gated models need one (hf auth login)"
    except OSError as error:
        return [Diagnosis(
            subject="Hugging Face Hub", state="problem", finding=f"the token cannot be read: {error}",
            fix="Set HF_HOME to a folder that can be read and written.",
        )]  # fmt: skip
    finding = f"{offline}cache at {constants.HF_HUB_CACHE}, {token}"
    return [Diagnosis(subject="Hugging Face Hub", state="ok", finding=finding)]


def _plugin(plugin: PluginStatus) -> list[Diagnosis]:
    subject = f"plugin {plugin.name}" if plugin.kind in ("backend", "plugin") else f"{plugin.kind} {plugin.name}"
    origin = f"{plugin.distribution} {plugin.version}"
    if plugin.problem is None:
        found = [Diagnosis(subject=subject, state="ok", finding=origin)]
    else:
        found = [
            Diagnosis(
                subject=subject,
                state="note" if plugin.disabled else "problem",
                finding=f"{origin}: {plugin.problem}",
                fix="" if plugin.disabled else f"Update or uninstall {plugin.distribution}.",
            )
        ]
    return found + [Diagnosis(subject=subject, state="note", finding=f"{origin}: {note}") for note in plugin.notes]


def _engine(info: BackendInfo) -> list[Diagnosis]:
    subject, engine = f"backend {info.name}", summary.describe_engine(info)
    if info.unavailable:
        state: State = "note" if _is_pending(info) else "problem"
        return [Diagnosis(subject=subject, state=state, finding=f"{engine}: {info.unavailable}", fix=info.fix)]
    works = Diagnosis(subject=subject, state="ok", finding=f"{engine} works on: {', '.join(info.devices)}")
    return [works, *(Diagnosis(subject=subject, state="note", finding=note) for note in info.notes)]


def _is_pending(info: BackendInfo) -> bool:
    """Its plugin was installed and its environment is not made yet, which is no fault."""
    return bool(info.unavailable) and info.environment is not None and find(info.environment) is None


def _no_backend(backends: list[PluginStatus]) -> Diagnosis:
    if not backends:
        finding, fix = "No backend is installed.", "pip install pajamas-gguf"
    else:
        problems = "; ".join(dict.fromkeys(f"{backend.name}: {_reason(backend)}" for backend in backends))
        finding = f"No installed backend can be used ({problems})."
        disabled = all(backend.disabled for backend in backends)
        fix = f"Unset {DISABLE_VARIABLE}." if disabled else "Do what is said above for one of them."
    return Diagnosis(subject="backends", state="problem", finding=finding, fix=fix)


def _reason(backend: PluginStatus) -> str | None:
    return backend.problem or (backend.info.unavailable if backend.info else None)
