"""Fixtures of core's tests. Helpers beside the tests are importable by their own names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakehub import FakeHub  # importable only after the line above


@pytest.fixture
def dists(tmp_path, monkeypatch):
    """A folder on sys.path for fake distributions; modules that tests import from it are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="session")
def _fake_hub():
    with FakeHub() as fake:
        yield fake


@pytest.fixture
def hub(_fake_hub):
    """A fake Hub without repositories."""
    _fake_hub.reset()
    return _fake_hub


@pytest.fixture(scope="session")
def _home(tmp_path_factory):
    return tmp_path_factory.mktemp("home") / "hf"


@pytest.fixture
def home(_home):
    """An empty HF_HOME."""
    shutil.rmtree(_home, ignore_errors=True)
    return _home


class _Client:
    """A process of hubclient.py."""

    def __init__(self, hub, home, variables):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("hubclient.py")],
            env=inherited | hub.environment(home) | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, steps):
        self._process.stdin.write(json.dumps(steps) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "hubclient.py died; its traceback stands in the captured output"
        return json.loads(answer)

    def close(self):
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def _client(_fake_hub, _home):
    client = _Client(_fake_hub, _home, {})
    yield client
    client.close()


@pytest.fixture
def ask(hub, home, _client):
    """Run steps of hubclient.py against the fake Hub; one answer a step.

    Most run in one long-lived process; `fresh` or environment variables start one of their own.
    """

    def run(*steps, fresh=False, **variables):
        client = _Client(hub, home, variables) if fresh or variables else _client
        answers = client.ask(steps)
        if client is not _client:
            client.close()
        return answers[0] if len(steps) == 1 else answers

    return run
