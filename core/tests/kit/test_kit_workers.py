"""The kit's rules about worker processes: each is broken by exactly one fault."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

from kit_backend import with_fault


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        (("        first = self", "        first = os.getpid() + self"), "test_a_worker_gives_the_same_answer",
         "in a worker"),
        (("        self.engine = engine", "        self.engine = engine\n        self.context_length = os.getpid()"),
         "test_a_worker_gives_the_same_answer", "may depend on the artifact and the options only"),
    ],
)  # fmt: skip
def test_one_fault_breaks_one_rule(check, change, test, words):
    run = check(with_fault(change), tests=("Loading", "Workers"))

    assert list(run.failed) == [test]
    assert words in run.failed[test]


@pytest.mark.skipif(sys.platform != "linux", reason="what a worker leaves behind is found in /proc")
def test_a_process_that_is_left_behind_is_found(check, monkeypatch):
    monkeypatch.setattr("pajamas.testing.workers.GRACE", 0.5)
    # Not in the tests' own process, where nothing would end it.
    left = "'PAJAMAS_KIT_WORKER' in os.environ and subprocess.Popen(['sleep', '60'], start_new_session=True)"

    run = check(
        with_fault(
            ("import os\n", "import os\nimport subprocess\n"),
            ("        self.engine = engine", f"        self.engine = engine\n        self.child = {left}"),
        ),
        tests=("test_closing_leaves_no_process",),
    )

    told = run.failed["test_closing_leaves_no_process"]
    found = re.search(r"(\d+) sleep 60", told)
    assert found, told
    os.kill(int(found[1]), signal.SIGKILL)
