"""A worker goes with the one who started it, and not before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pajamas.errors import EngineCrashed, EngineError
from pajamas.types import GenerateRequest
from pajamas.worker import process

PROGRAM = """
import sys, time
from pathlib import Path
from pajamas.types import Artifact, GenerateRequest, LoadOptions
from pajamas.worker.client import WorkerSession
session = WorkerSession.start("count", Artifact(path=Path("m"), format="count"), LoadOptions())
stream = session.generate(GenerateRequest(prompt="slow 600"))
next(stream)
print(session.pid, flush=True)
{then}
"""


def run_program(then):
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.format(then=then)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stopped", [False, True])
def test_the_worker_dies_with_the_program_that_started_it(count_dist, alive, until, stopped):
    """Also when it is stopped and cannot see that its pipe has ended."""
    with run_program("time.sleep(600)") as program:
        pid = int(program.stdout.readline())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        program.kill()

    assert until(lambda: not alive(pid))


@pytest.mark.parametrize(
    "then", ["", "raise SystemExit", "del session, stream; import gc; gc.collect(); time.sleep(600)"]
)
def test_a_session_that_is_not_closed_goes_without_a_word(count_dist, alive, until, then):
    """At the end of the program, or when it is dropped."""
    with run_program(then) as program:
        pid = int(program.stdout.readline())
        assert until(lambda: not alive(pid))
        program.kill() if "sleep" in then else program.wait()

        assert program.stderr.read() == ""


def test_the_worker_outlives_the_thread_that_started_it(start):
    """The kernel's parent-death signal goes by threads."""
    sessions = []
    thread = threading.Thread(target=lambda: sessions.append(start()))
    thread.start()
    thread.join()
    time.sleep(0.2)

    assert sessions[0].tokenize("a") == [0, 97]


def test_ctrl_c_is_the_callers_to_handle(start):
    session = start(load="interrupt")  # also while it loads
    stream = session.generate(GenerateRequest(prompt="slow 0.2"))
    next(stream)

    os.kill(session.pid, signal.SIGINT)

    assert [next(stream).text for _ in range(3)] == ["tick "] * 3


def test_nothing_is_left_in_shared_memory(start):
    def blocks():
        return [name for name in Path("/dev/shm").iterdir() if "pajamas" in name.name]

    session = start()
    stream = session.score(list(range(100)))
    next(stream)

    assert blocks() == []
    os.kill(session.pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed):
        list(stream)
    assert blocks() == []


@pytest.mark.parametrize("fault", ["no file", "bad name"])
@pytest.mark.skipif(sys.platform != "linux", reason="looks for leaks in /proc")
def test_a_worker_that_cannot_be_started_leaves_nothing_open(monkeypatch, until, fault):
    def descriptors():
        return sorted(os.listdir("/proc/self/fd"))

    def no_block_file():
        raise OSError(24, "Too many open files")

    if fault == "no file":
        monkeypatch.setattr(process, "create_block_file", no_block_file)
    before = descriptors()
    with pytest.raises(OSError if fault == "no file" else EngineError):
        process.WorkerProcess(Path("no\0path" if fault == "bad name" else sys.executable))
    assert until(lambda: descriptors() == before)
