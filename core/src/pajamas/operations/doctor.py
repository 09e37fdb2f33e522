"""What works on this machine, and what to do about what does not."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Literal

from attrs import frozen

from pajamas import store
from pajamas.errors import PajamasError
from pajamas.hookspecs import BACKENDS_GROUP, PLUGINS_GROUP
from pajamas.plugin_entries import DISABLE_VARIABLE, core_version
from pajamas.plugins import PluginHost

State = Literal["ok", "note", "problem"]


@frozen(kw_only=True)
class Diagnosis:
    subject: str
    state: State
    finding: str
    fix: str = ""


def diagnose(*, host: PluginHost | None = None) -> tuple[Diagnosis, ...]:
    """Look at this machine, every plugin and every engine; engines are tried in a child process."""
    host = host or PluginHost()
    return (*_machine(), *_hub(), *_plugins(host), *_backends(host))


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


def _plugins(host: PluginHost) -> list[Diagnosis]:
    found = []
    for entry in (*host.entries(BACKENDS_GROUP), *host.entries(PLUGINS_GROUP)):
        problem = host.problem(entry)
        found.append(
            Diagnosis(
                subject=f"plugin {entry.name}",
                state="ok" if problem is None else "note" if entry.disabled else "problem",
                finding=f"{entry.distribution} {entry.version}" + (f": {problem}" if problem else ""),
                fix="" if problem is None or entry.disabled else f"Update or uninstall {entry.distribution}.",
            )
        )
    return found


def _backends(host: PluginHost) -> list[Diagnosis]:
    found = []
    for backend in host.working_backends():
        subject = f"backend {backend.name}"
        try:
            info = backend.describe(thorough=True)
        except PajamasError as error:
            found.append(
                Diagnosis(subject=subject, state="problem", finding=f"{error.what} {error.why}", fix=error.fix)
            )
            continue
        engine = f"{info.engine} {info.engine_version or '(not installed)'}"
        if info.unavailable:
            found.append(
                Diagnosis(subject=subject, state="problem", finding=f"{engine}: {info.unavailable}", fix=info.fix)
            )
            continue
        found.append(Diagnosis(subject=subject, state="ok", finding=f"{engine} works on: {', '.join(info.devices)}"))
        found += [Diagnosis(subject=subject, state="note", finding=note) for note in info.notes]
    return found or [_no_backend(host)]


def _no_backend(host: PluginHost) -> Diagnosis:
    entries = host.entries(BACKENDS_GROUP)
    if not entries:
        finding, fix = "No backend is installed.", "pip install pajamas-gguf"
    else:
        problems = "; ".join(dict.fromkeys(f"{entry.name}: {host.problem(entry)}" for entry in entries))
        finding = f"No installed backend can be used ({problems})."
        disabled = all(entry.disabled for entry in entries)
        fix = f"Unset {DISABLE_VARIABLE}." if disabled else "Do what is said above for one of them."
    return Diagnosis(subject="backends", state="problem", finding=finding, fix=fix)
