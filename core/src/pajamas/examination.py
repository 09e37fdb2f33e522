"""Trying plugins in child processes, so that one that crashes, hangs or takes long is told of and harms nobody.

Sound plugins are tried one after the other in one process, which is quick. When one of them stalls or takes the process
down, those after it go on in another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from pajamas.types import BackendInfo

if TYPE_CHECKING:
    from cattrs import Converter

    from pajamas.plugin_entries import PluginEntry

LIMIT = 4.0
"""Seconds that one plugin may take to be imported and to say what it offers; a sound one takes a tenth of one."""
THOROUGH_LIMIT = 60.0
"""Seconds that one backend may take to try its engine."""
_START_LIMIT = 20.0
"""Seconds for the interpreter and core to start, on a machine that is busy."""
_PATIENCE = 0.5
"""Seconds after which the others no longer wait for one."""
_AT_ONCE = 8
_LAST_WORDS = 2000
_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[3])
from pajamas.examiner import main
main(int(sys.argv[1]), json.loads(sys.argv[2]))
"""


@frozen(kw_only=True)
class Examination:
    """What one plugin is found to offer, or what is wrong with it."""

    problem: str | None = None
    harmful: bool = False
    """The problem is that it ended the process, or took too long."""
    info: BackendInfo | None = None
    """What a backend says of itself."""
    aliases: Mapping[str, str] = field(factory=dict)
    metrics: Mapping[str, str] = field(factory=dict)
    notes: tuple[str, ...] = ()
    """What it does that it should not, though it works."""


def converter() -> Converter:
    """Examinations to and from JSON's own types."""
    from cattrs.preconf.json import make_converter

    return make_converter()


def examine(
    entries: list[PluginEntry], *, disabled: frozenset[str], thorough: bool = False
) -> dict[PluginEntry, Examination]:
    """What each of `entries`, whose metadata are sound, offers, or its problem.

    Args:
        disabled: names that the child processes leave alone too.
        thorough: have backends try their engines.
    """
    if not entries:
        return {}
    with _Examiners(disabled, thorough) as examiners:
        return examiners.run(entries)


class _Child:
    """One process with some entries to try, and what is known of it."""

    def __init__(self, entries: list[PluginEntry], disabled: frozenset[str], thorough: bool) -> None:
        self.entries = entries
        self.current: PluginEntry | None = None
        self.begun = time.monotonic()
        self.limit = _START_LIMIT
        self.abandoned = False
        """The entries after the current one are tried by other processes."""
        self.buffer = b""
        self.last_words = b""
        request = {
            "entries": [(entry.group, entry.name, entry.distribution) for entry in entries],
            "disabled": sorted(disabled),
            "thorough": thorough,
        }
        self.answers, write_end = os.pipe()
        try:
            # -P: files in the working directory must not be taken for modules.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(write_end), json.dumps(request), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(write_end,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self.answers)
            raise
        finally:
            os.close(write_end)
        assert self.process.stderr is not None
        self.errors = self.process.stderr.fileno()

    def end(self) -> str:
        """Kill it with all that it started, and say how it ended if it had ended by itself."""
        status = self.process.poll()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.answers)
        assert self.process.stderr is not None
        self.process.stderr.close()
        if status is None:
            return ""
        try:
            how = f"exit status {status}" if status >= 0 else signal.Signals(-status).name
        except ValueError:
            how = f"signal {-status}"
        lines = [line for line in self.last_words.decode(errors="replace").splitlines() if line.strip()]
        return f"{how}: {lines[-1].strip()[:200]}" if lines else how


class _Examiners:
    """The processes at work. Leaving the context kills them."""

    def __init__(self, disabled: frozenset[str], thorough: bool) -> None:
        self._disabled = disabled
        self._thorough = thorough
        self._found: dict[PluginEntry, Examination] = {}
        self._waiting: deque[list[PluginEntry]] = deque()
        self._running: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._converter = converter()

    def __enter__(self) -> _Examiners:
        return self

    def __exit__(self, *_: object) -> None:
        for child in list(self._running):
            self._end(child)
        self._selector.close()

    def run(self, entries: list[PluginEntry]) -> dict[PluginEntry, Examination]:
        self._waiting.append(entries)
        while self._waiting or self._running:
            while self._waiting and len(self._running) < _AT_ONCE:
                self._start(self._waiting.popleft())
            for key, _ in self._selector.select(timeout=0.05):
                child, is_answer = key.data
                if child in self._running:
                    self._read(child, is_answer=is_answer)
            for child in list(self._running):
                self._check_time(child)
        return self._found

    def _start(self, entries: list[PluginEntry]) -> None:
        try:
            child = _Child(entries, self._disabled, self._thorough)
        except OSError as error:
            unfit = Examination(problem=f"no process could be started to try it: {error}")
            self._found |= dict.fromkeys(entries, unfit)
            return
        self._running.append(child)
        self._selector.register(child.answers, selectors.EVENT_READ, (child, True))
        self._selector.register(child.errors, selectors.EVENT_READ, (child, False))

    def _end(self, child: _Child) -> str:
        self._running.remove(child)
        for descriptor in (child.answers, child.errors):
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        return child.end()

    def _read(self, child: _Child, *, is_answer: bool) -> None:
        data = os.read(child.answers if is_answer else child.errors, 1 << 16)
        if not is_answer:
            child.last_words = (child.last_words + data)[-_LAST_WORDS:]
            if not data:
                self._selector.unregister(child.errors)
            return
        if not data:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=1)  # its exit status is the reason that is told
            self._lost(child, "it ended the process")
            return
        *lines, child.buffer = (child.buffer + data).split(b"\n")
        for line in lines:
            self._hear(child, json.loads(line))
        if all(entry in self._found for entry in child.entries) or (child.abandoned and child.current is None):
            self._end(child)

    def _hear(self, child: _Child, message: Mapping[str, Any]) -> None:
        child.begun = time.monotonic()
        if "begun" in message:
            child.current, child.limit = child.entries[message["begun"]], message["limit"]
            return
        entry = child.entries[message["done"]]
        child.current = None
        self._found.setdefault(entry, self._converter.structure(message["found"], Examination))

    def _check_time(self, child: _Child) -> None:
        waited = time.monotonic() - child.begun
        if waited > child.limit:
            self._lost(child, f"it took longer than {child.limit:.0f} s")
        elif waited > _PATIENCE and len(child.entries) > 1 and child.current and not child.abandoned:
            child.abandoned = True
            self._try_later(entry for entry in child.entries if entry is not child.current)

    def _lost(self, child: _Child, reason: str) -> None:
        """The process is of no more use: what was in hand has a problem, if nothing else can be the cause."""
        dead = child.process.poll() is not None
        how = self._end(child)
        reason = f"{reason} ({how})" if how else reason
        if child.limit == _START_LIMIT:  # it never began: another one would fare no better
            unfit = Examination(problem=f"it could not be tried: {reason}", harmful=True)
            self._found |= {entry: unfit for entry in child.entries if entry not in self._found}
        elif child.current and (not dead or len(child.entries) == 1):
            self._found.setdefault(child.current, Examination(problem=reason, harmful=True))
        # What was in hand when the process died may not be the cause: by itself it will tell.
        self._try_later([child.current] if child.current else [])
        if not child.abandoned:
            self._try_later(entry for entry in child.entries if entry is not child.current)

    def _try_later(self, entries: Iterable[PluginEntry]) -> None:
        if left := [entry for entry in entries if entry not in self._found]:
            self._waiting.append(left)
