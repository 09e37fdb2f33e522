"""Fixtures of core's tests. Helpers beside the tests are importable by their own names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakehub import FakeHub  # importable only after the line above


@pytest.fixture
def hub():
    with FakeHub() as fake:
        yield fake


@pytest.fixture
def ask(hub, tmp_path):
    """Run steps of hubclient.py in a fresh process against the fake Hub; one answer a step."""

    def run(*steps, cwd=tmp_path, **variables):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment = inherited | hub.environment(tmp_path / "hf") | variables
        process = subprocess.run(
            [sys.executable, Path(__file__).with_name("hubclient.py")],
            input=json.dumps(steps),
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stderr
        answers = [json.loads(line) for line in process.stdout.splitlines()]
        return answers[0] if len(steps) == 1 else answers

    return run
