"""Whether a plugin may be imported here, known from a try in a child process: its import could end the program.

Remembered until the plugin's file changes or something is installed or removed. What merely raises an exception may be
imported: that is guarded, and tells what is wrong as of now.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pajamas.module_source import find_module
from pajamas.plugin_entries import PluginEntry, core_version

_KEPT = 200
"""Entries in the file; older ones go first."""


def recall(entry: PluginEntry) -> tuple[bool, str | None]:
    """Whether it was tried, and what harm it did then."""
    verdicts, key = _read(), _key(entry)
    return (True, verdicts[key]) if key in verdicts else (False, None)


def remember(verdicts: Mapping[PluginEntry, str | None]) -> None:
    """Keep what harm each did, None for none. Where nothing can be written, it is tried again next time."""
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
    """A text that is another one where the verdict could be, too."""
    spec = find_module(entry.module.partition(":")[0].strip())
    origin = str(spec.origin) if spec else ""
    folders = [path for path in sys.path if os.path.basename(path).endswith("-packages")]
    stamps = [_stamp(path) for path in (origin, *folders)]
    parts = (entry.distribution, entry.version, entry.group, entry.name, entry.module, origin, *stamps)
    return " ".join((*parts, platform.python_version(), core_version()))


def _stamp(path: str) -> str:
    try:
        state = os.stat(path)
    except OSError:
        return "-"
    return f"{state.st_mtime_ns}:{state.st_size}"
