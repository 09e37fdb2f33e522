"""The installed console scripts, run as a person runs them: in a pipe, on a terminal, or, quicker, in this process."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from pajamas.cli import main

PROGRAMS = {"pajamas": main.pajamas, "llama-pajamas-quant": main.quant, "llama-pajamas-run": main.run}
SCRIPTS = Path(sys.executable).parent
TIMEOUT = 180  # a busy machine is slow, not broken
PROMPT, ACCEPTED = "<prompt>", "<accepted>"
_MARKS = {"\x1b[?2004h": PROMPT, "\x1b[?2004l": ACCEPTED}
"""prompt_toolkit takes pasted text apart from typed text only while it reads: that tells when it does."""
_STEERING = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>])|\r")


def environment(home, **variables):
    """Nothing of the user's own configuration; the remembered probe of the engine is in the cache, which stays."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PAJAMAS", "HF_", "_PAJAMAS")) and name not in ("NO_COLOR", "FORCE_COLOR")
    }
    own = {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home / "hf"),
    }
    return inherited | own | variables


def run(*arguments, home, script="pajamas", stdin=None, **variables):
    """The finished program: returncode, stdout, stderr as bytes that are UTF-8."""
    return subprocess.run(
        [SCRIPTS / script, *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(home, **variables),
        cwd=home,
    )


def run_here(*arguments, home, script="pajamas", stdin=None, **variables):
    """As `run`, in this process, which has the engine imported already: for what a command says and writes, where it is
    no matter how a process begins and ends."""
    wanted = environment(home, **variables)
    with pytest.MonkeyPatch.context() as patch:
        move_into(wanted, home, patch)
        return here([script, *map(str, arguments)], stdin)


def move_into(wanted, folder, patch):
    """Have this process in a folder and with an environment as of `environment`, until the patch ends."""
    for name in set(os.environ) - set(wanted):
        patch.delenv(name)
    for name, value in wanted.items():
        patch.setenv(name, value)
    # It reads the environment once, when it is imported, and an earlier test may have done that.
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    patch.chdir(folder)


def here(words, stdin=None):
    """The finished program of `words`, which has run in this process: returncode, stdout, stderr as bytes."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with (
            contextlib.redirect_stdout(streams[0]),
            contextlib.redirect_stderr(streams[1]),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "argv", words)
            patch.setattr(sys, "stdin", None if data is None else io.TextIOWrapper(io.BytesIO(data)))
            code = main._run(PROGRAMS[words[0]])
    finally:
        root.handlers[:], root.level = handlers, level
    return subprocess.CompletedProcess(words, code, *(stream.buffer.getvalue() for stream in streams))


def start(*arguments, home, **variables):
    """The running program, its streams as pipes."""
    return subprocess.Popen(
        [SCRIPTS / "pajamas", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home, **variables),
        cwd=home,
    )


class Terminal:
    """A program on a pseudo-terminal of its own, which turns Ctrl-C into the signal."""

    def __init__(self, *arguments, home, columns=80, **variables):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [SCRIPTS / "pajamas", *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=environment(home, TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1", **variables),
            cwd=home,
        )
        os.close(slave)
        self.raw = ""
        self._seen = 0

    @property
    def text(self):
        """All that came, without colours and cursor movements, and with marks where a prompt began and ended."""
        text = self.raw
        for sequence, mark in _MARKS.items():
            text = text.replace(sequence, mark)
        return _STEERING.sub("", text)

    @property
    def lines(self):
        """The lines as they stand in the end: what was written over in its line is gone."""
        rows = self.raw.replace("\r\n", "\n").split("\n")
        return [_STEERING.sub("", re.split(r"\r|\x1b\[2K", row.removesuffix("\x1b[2K"))[-1]) for row in rows]

    def send(self, text):
        os.write(self._master, text.encode())

    def wait_for(self, wanted):
        """Read until `wanted` comes after what was waited for before; what stands between, with it."""
        deadline = time.monotonic() + TIMEOUT
        while wanted not in self.text[self._seen :]:
            if not self._read(deadline):
                raise AssertionError(f"no {wanted!r} in {self.text[self._seen :]!r}")
        begin, self._seen = self._seen, self.text.index(wanted, self._seen) + len(wanted)
        return self.text[begin : self._seen]

    def say(self, text):
        """Send a line to a prompt; what the program writes until its next one."""
        self.send(text + "\r")
        self.wait_for(ACCEPTED)
        return self.wait_for(PROMPT)

    def interrupt(self):
        """Ctrl-C, once the terminal makes it a signal: while a prompt is read it is a key like any other."""
        while not termios.tcgetattr(self._master)[3] & termios.ISIG:
            time.sleep(0.01)
        self.send("\x03")

    def end(self):
        """Read to the end; the exit code."""
        deadline = time.monotonic() + TIMEOUT
        while self._read(deadline):
            pass
        return self._process.wait(timeout=TIMEOUT)

    def _read(self, deadline):
        if not select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._master)
