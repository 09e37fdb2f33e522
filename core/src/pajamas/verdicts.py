"""What became of trying a plugin in a child process, remembered until its files change: one try is enough.

A plugin that nobody chose is imported here only after a try: its import could end the program, or take a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pajamas.module_source import find_module
from pajamas.plugin_entries import PluginEntry, core_version

_KEPT = 500
"""Entries in the file; older ones go first."""


def recall(entry: PluginEntry) -> tuple[bool, str | None]:
    """Whether it was tried, and what was wrong then."""
    verdicts, key = _read(), _key(entry)
    return (True, verdicts[key]) if key in verdicts else (False, None)


def remember(verdicts: Mapping[PluginEntry, str | None]) -> None:
    """Keep what was wrong with each, None for nothing. Where nothing can be written, it is tried again next time."""
    place = _place()
    known = _read()
    for entry, problem in verdicts.items():
        known.pop(key := _key(entry), None)
        known[key] = problem
    kept = dict(list(known.items())[-_KEPT:])
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=1)
            os.replace(temporary, place)
        except OSError:
            os.unlink(temporary)
            raise


def _read() -> dict[str, str | None]:
    try:
        found = json.loads(_place().read_text("utf-8"))
        return {str(key): value if value is None else str(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _place() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("pajamas") / "plugins.json"


def _key(entry: PluginEntry) -> str:
    spec = find_module(entry.module.partition(":")[0].strip())
    origin = str(spec.origin) if spec else ""
    try:
        state = os.stat(origin)
        stamp = f"{state.st_mtime_ns} {state.st_size}"
    except OSError:
        stamp = "no file"
    versions = f"{platform.python_version()} {core_version()}"
    return f"{entry.distribution} {entry.version} {entry.group} {entry.name} {entry.module} {versions} {origin} {stamp}"
