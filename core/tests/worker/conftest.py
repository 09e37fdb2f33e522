"""Workers for the tests, on a backend that counts. Every test that starts one also proves that nothing stays behind."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from pajamas.types import Artifact, LoadOptions
from pajamas.worker.client import WorkerSession

DIST = Path(__file__).parents[1] / "dists" / "count"


@pytest.fixture
def count_dist(monkeypatch):
    """Make the distribution that offers backend `count` visible to child processes."""
    monkeypatch.setenv("PYTHONPATH", str(DIST), prepend=os.pathsep)
    return DIST


@pytest.fixture
def count_session(count_dist):
    """A counting session in this process."""
    spec = importlib.util.spec_from_file_location("pajamas_count", count_dist / "pajamas_count.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(Artifact(path=Path("model.count"), format="count"), LoadOptions(context_length=50))


@pytest.fixture
def start(count_dist):
    """`start(**details)` loads a counting session in a worker; see dists/count for the details."""
    if sys.platform != "linux":
        pytest.skip("looks for leaks in /proc")
    before = _open_files()
    sessions = []

    def start(*, context_length=None, python=None, heartbeat=2.0, patience=60.0, backend="count", **details):
        session = WorkerSession.start(
            backend,
            Artifact(path=Path("model.count"), format="count", details=details),
            LoadOptions(context_length=context_length),
            python=python,
            heartbeat=heartbeat,
            patience=patience,
        )
        sessions.append(session)
        return session

    yield start
    pids = [session.pid for session in sessions]
    for session in sessions:
        session.close()
    assert until(lambda: not any(alive(pid) for pid in pids)), "a worker process was left behind"
    assert until(lambda: _open_files() == before), "a file was left open"
    assert until(lambda: not [t for t in threading.enumerate() if t.name.startswith("pajamas-")]), "a thread was left"


def alive(pid):
    """Whether there is such a process, and it is not only waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status not in "ZX"


def until(condition, seconds=20.0):
    """Wait for `condition`; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _open_files():
    files = []
    for name in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # the one that lists the folder
    return sorted(name for name in files if name.startswith(("pipe:", "/memfd:")))


@pytest.fixture(name="alive")
def _alive():
    return alive


@pytest.fixture(name="until")
def _until():
    return until
