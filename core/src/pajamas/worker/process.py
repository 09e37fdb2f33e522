"""The worker's process: started, watched, killed with all that it started, and its last words kept."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from pajamas.errors import EngineError, Unsupported
from pajamas.worker.blocks import create_block_file

KEPT_STDERR = 2**18
"""Bytes of standard error that are kept; the engine's standard output goes there too."""

DRAIN_SECONDS = 1.0
"""How long to wait for what a process that is gone has written: one that it has left behind may hold the pipe open."""

_CHUNK = 2**13
_LAST_LINES = 3
_ALARM = re.compile(r"assert|abort|fatal|terminate called|out of memory|error", re.IGNORECASE)


class WorkerProcess:
    """A child that runs `python -m pajamas.worker`, and this side's end of its pipes.

    The child leads a session of its own: Ctrl-C in the terminal does not reach it, and killing its group takes the
    processes along that an engine has started.

    Raises:
        Unsupported: this system has no process groups and inherited descriptors (Windows).
        EngineError: `python` cannot be run.
        OSError: too many files are open.
    """

    def __init__(self, python: Path) -> None:
        if os.name != "posix":
            raise Unsupported(
                "Worker processes are not supported on this system.", "They need POSIX.", "Run it in-process."
            )
        self.python = python
        self.exited = threading.Event()
        """Set once the process is gone, its group killed and it reaped."""
        self._reaping = threading.RLock()  # reentrant: a finalizer may call `kill` in any thread
        self._stderr: deque[bytes] = deque()
        with contextlib.ExitStack() as opened:  # where one cannot be had, none is kept
            requests, self.requests = _pipe(opened)
            self.answers, answers = _pipe(opened)
            errors, errors_in = _pipe(opened)
            self.blocks = create_block_file()
            opened.pop_all()
        spawned = threading.Event()
        descriptors = (requests, answers, self.blocks)
        self._failure: Exception | None = None
        # PR_SET_PDEATHSIG fires when the *thread* that made the child ends, so the one that waits for it makes it.
        threading.Thread(
            target=self._keep, args=(descriptors, errors_in, spawned), name="pajamas-worker-keeper", daemon=True
        ).start()
        spawned.wait()
        for descriptor in (requests, answers, errors_in):
            os.close(descriptor)
        self._drainer = threading.Thread(target=self._drain, args=(errors,), name="pajamas-worker-stderr", daemon=True)
        self._drainer.start()
        if self._failure is not None:
            for descriptor in (self.requests, self.answers, self.blocks):
                os.close(descriptor)
            raise EngineError(
                f"The worker cannot be started with {python}.",
                str(self._failure),
                "Name the Python interpreter of an environment that has pajamas installed.",
            ) from self._failure

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        """The last of what the process wrote to its standard output and standard error."""
        return b"".join(self._stderr.copy()).decode(errors="replace")

    def kill(self) -> None:
        """Kill the process and its group now; harmless when it is gone. It is reaped in the background."""
        with self._reaping:
            if self._popen.returncode is None:
                self._kill_group()

    @property
    def drained(self) -> bool:
        """Whether all is read that the process and those that it started have written."""
        return not self._drainer.is_alive()

    def drain(self) -> None:
        """Wait until it is, or for `DRAIN_SECONDS`."""
        self._drainer.join(DRAIN_SECONDS)

    def describe_exit(self) -> str:
        """How it ended, once `exited` is set: "was killed by SIGSEGV", "ended with exit status 3"."""
        status = self._popen.returncode
        if status >= 0:
            return f"ended with exit status {status}"
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"

    def last_words(self) -> str:
        """The last lines that the process wrote, in one, and the last alarming one if it came before them."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        chosen = lines[-_LAST_LINES:]
        alarms = [line for line in lines[:-_LAST_LINES] if _ALARM.search(line)]
        if alarms and not any(_ALARM.search(line) for line in chosen):
            chosen.insert(0, alarms[-1])
        return " | ".join(line[:200] for line in chosen)

    def _keep(self, descriptors: tuple[int, int, int], errors: int, spawned: threading.Event) -> None:
        # -P: a folder named pajamas in the working directory must not be taken for this package.
        command = [str(self.python), "-P", "-m", "pajamas.worker", str(os.getpid()), *map(str, descriptors)]
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._failure = error
            return
        finally:
            spawned.set()
        if sys.platform != "darwin":  # there before Python 3.13 only `wait` exists, which reaps at once
            with contextlib.suppress(ChildProcessError):  # the program ignores SIGCHLD: the kernel has reaped it
                os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._popen.wait()
        with self._reaping:
            self._kill_group()  # before it is reaped: until then its number is not given to another group
            self._popen.wait()
        self.exited.set()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _drain(self, errors: int) -> None:
        kept = 0
        with open(errors, "rb", buffering=0) as pipe:
            while data := pipe.read(_CHUNK):
                self._stderr.append(data)
                kept += len(data)
                while kept > KEPT_STDERR:
                    kept -= len(self._stderr.popleft())


def _pipe(opened: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends
