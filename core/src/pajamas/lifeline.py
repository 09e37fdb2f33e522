"""What a child process does so that it never outlives its parent, and what it says is not mixed with the engine's."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def take_channel() -> int:
    """A descriptor to the parent; the engine, which may print, gets standard error in place of standard output."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return channel


def write_all(descriptor: int, text: bytes) -> None:
    """Write all of it: a pipe may take less at once."""
    data = memoryview(text)
    while data:
        data = data[os.write(descriptor, data) :]


def die_with_parent() -> None:
    """Let Ctrl-C be the parent's to handle, and on Linux have the kernel end this process when the parent is gone."""
    # The terminal sends Ctrl-C to both processes; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)


def leave_no_core_file() -> None:
    """For a crash that is expected: the memory of a model on the disk helps nobody."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def first_line() -> bytes:
    """Read past every buffer: the rest of standard input belongs to the thread of `watch_parent`."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line


def watch_parent() -> None:
    """Never returns: when standard input ends, the parent is gone, and so is this process."""
    while os.read(0, 4096):
        pass
    os._exit(1)
