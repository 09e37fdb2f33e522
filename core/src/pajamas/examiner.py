"""The child process in which plugins are tried: imports each, asks what it offers, and tells it line by line as JSON.

`examination` starts it and reads what it says. It may hang or die at any entry: what was said before counts.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import IO, Any

from attrs import evolve

from pajamas.entry_points import BACKENDS_GROUP, GROUPS, PLUGINS_GROUP
from pajamas.errors import PajamasError
from pajamas.examination import LIMIT, THOROUGH_LIMIT, Examination, converter
from pajamas.plugin_entries import PluginEntry
from pajamas.plugins import PluginHost

_SLOW = 1.0
"""Seconds for an import and what follows it, above which a note says so."""


class _Lone(PluginHost):
    """Imports nothing but what is tried: what other plugins wrap around it is their matter."""

    def prepare(self, hook: str) -> None:
        pass


def main(descriptor: int, request: dict[str, Any]) -> None:
    """Answer `request` (disabled names, entries as (group, name, distribution), thorough) on the pipe `descriptor`."""
    os.set_inheritable(descriptor, False)
    # Nobody may be left to kill a plugin that hangs.
    signal.alarm(int(LIMIT + THOROUGH_LIMIT) * len(request["entries"]))
    host = _Lone(disabled=frozenset(request["disabled"]))
    entries = {
        (entry.group, entry.name, entry.distribution): entry for group in GROUPS for entry in host.entries(group)
    }
    with open(descriptor, "w", encoding="utf-8") as answers:
        for number, key in enumerate(request["entries"]):
            _say(answers, {"begun": number, "limit": LIMIT})
            found = _examine(host, entries[tuple(key)])
            if request["thorough"] and found.info:
                _say(answers, {"begun": number, "limit": THOROUGH_LIMIT})
                found = _thoroughly(host, entries[tuple(key)], found)
            _say(answers, {"done": number, "found": converter().unstructure(found)})
    os._exit(0)  # whatever a plugin left for the end of the program is not waited for


def _say(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _examine(host: PluginHost, entry: PluginEntry) -> Examination:
    began = time.perf_counter()
    found = Examination()
    try:
        host.load(entry.group, entry.name)
        if entry.group == BACKENDS_GROUP:
            found = evolve(found, info=host.backend(entry.name).describe())
        elif entry.group == PLUGINS_GROUP:
            name = f"{entry.group}:{entry.name}"
            found = evolve(
                found, aliases=host.offer("model_aliases", name), metrics=host.offer("validation_metrics", name)
            )
        notes = host.notes(entry.group, entry.name)
    except PajamasError as error:
        return Examination(problem=_one_line(error, entry))
    except Exception as error:  # guarded: this process is there to find out what a plugin does
        return Examination(problem=f"{type(error).__name__}: {error}")
    if (seconds := time.perf_counter() - began) > _SLOW:
        notes += (f"it takes {seconds:.1f} s to import: whatever is slow belongs into the functions that need it",)
    return evolve(found, notes=notes)


def _thoroughly(host: PluginHost, entry: PluginEntry, found: Examination) -> Examination:
    try:
        return evolve(found, info=host.backend(entry.name).describe(thorough=True))
    except PajamasError as error:
        return Examination(problem=_one_line(error, entry))


def _one_line(error: PajamasError, entry: PluginEntry) -> str:
    """Without the plugin's name, which stands beside it wherever it is shown."""
    what = error.what.removeprefix(entry.label).strip(" .")
    return " ".join(f"{what}: {error.why}".rstrip(" :").split())
