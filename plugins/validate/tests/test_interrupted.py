"""The command, killed or interrupted while it measures, and given again: it goes on, to the figures of a whole run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

_RUN = """
from pajamas.cli.main import main
from pajamas_validate import resuming
resuming._EVERY = 0.0  # the state is written after each window, not each ten seconds: tests do not wait
main()
"""
_WINDOWS = 16


@pytest.fixture
def start(tiny_gguf, tiny_text, tmp_path):
    """Starts the command in a process of its own, with a cache of its own."""
    text = tmp_path / "text.txt"
    text.write_text(tiny_text * 2, encoding="utf-8")
    arguments = ["validate", "-q", tiny_gguf("q4_k_m"), "-o", tiny_gguf("f16"), "--metrics", "perplexity,kld"]
    arguments += ["--text", text, "--ctx", "256", "--windows", str(_WINDOWS), "--json"]

    def begin(*more):
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, *map(str, arguments), *more],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def test_it_goes_on_after_a_kill_and_after_ctrl_c(start, tmp_path):
    folder = tmp_path / "cache/pajamas/validations"
    done = [0]
    for number in (signal.SIGKILL, signal.SIGINT):
        running = start()
        begun = states(folder)
        while states(folder) in (begun, []):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        running.send_signal(number)
        done += resumed(running.communicate()[1])
        assert running.returncode in (-number, 128 + number)
    last = start()
    found, log = last.communicate()
    done += resumed(log)
    whole, _ = start("--no-resume").communicate()

    assert len(done) == 3 and done == sorted(set(done)) and done[-1] < _WINDOWS
    assert last.returncode in (0, 5, 6)
    assert figures(found) == figures(whole)
    assert not states(folder)


def states(folder):
    return [(path.name, path.stat().st_size) for path in folder.glob("*.npz")]


def resumed(log):
    return [int(number) for number in re.findall(r"Going on after (\d+) windows", log)]


def figures(printed):
    findings = json.loads(printed)["findings"]
    assert len(findings) > 3
    return [(finding["metric"], finding["value"], finding["error"]) for finding in findings]
