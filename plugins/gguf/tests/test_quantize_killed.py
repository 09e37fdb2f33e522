"""Kill it at any moment: nothing under the final name, nothing left running, and a second run works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import attrs
import pytest

from killing import children, is_alive, start
from pajamas.errors import EngineCrashed, EngineError
from pajamas_gguf.quantize.child import Task
from pajamas_gguf.quantize.pipeline import quantize
from pajamas_gguf.quantize.runner import run_task
from pajamas_gguf.schemes import SCHEMES, TYPE_IDS
from quantize_jobs import TINY, Recorded, make_job, write_llama

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# The slowest scheme: enough is left to do when the signal comes.
SCHEME = "IQ3_S"
AT = 5

# Tells of the tensor at which it is, with its own children, and stops there for good.
RUN = f"""
import sys, time
from pathlib import Path
from quantize_jobs import TINY, Recorded, make_job
from pajamas_gguf.quantize.pipeline import quantize

class Stopping(Recorded):
    def advance(self, amount, note=""):
        super().advance(amount, note)
        if self.stages[-1][2] == "tensors" and self.stages[-1][3] == {AT}:
            print(Path("/proc/self/task", str(__import__("os").getpid()), "children").read_text(), flush=True)
            time.sleep(60)

quantize(make_job(TINY, Path(sys.argv[1]), "{SCHEME}", threads=1, progress=Stopping()))
"""


class At(Recorded):
    """Does something once, in the middle of the quantization."""

    def __init__(self, action):
        super().__init__()
        self._action = action

    def advance(self, amount, note=""):
        super().advance(amount, note)
        if self._action and self.stages[-1][2] == "tensors" and self.stages[-1][3] == AT:
            action, self._action = self._action, None
            action()


@linux
def test_the_parent_is_killed(tmp_path):
    output = tmp_path / "out.gguf"
    process, (child,) = start(RUN, output)
    # A stopped process cannot leave by itself: the kernel must end it with its parent.
    os.kill(child, signal.SIGSTOP)

    process.kill()
    process.communicate()

    while is_alive(child):  # the suite's own timeout ends this
        time.sleep(0.05)
    assert not output.exists()
    assert any(name.startswith(".pajamas-work-") for name in os.listdir(tmp_path))
    quantize(make_job(TINY, output))
    assert os.listdir(tmp_path) == ["out.gguf"]


@linux
def test_the_parent_is_interrupted(tmp_path):
    process, (child,) = start(RUN, tmp_path / "out.gguf")

    # As a terminal does it: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate()[1].decode()

    assert error.splitlines()[-1] == "KeyboardInterrupt"
    assert not is_alive(child)
    assert os.listdir(tmp_path) == []


@linux
def test_the_child_is_killed(tmp_path):
    output = tmp_path / "out.gguf"
    job = make_job(TINY, output, SCHEME, threads=1)

    with pytest.raises(EngineCrashed, match="SIGKILL"):
        quantize(attrs.evolve(job, progress=At(lambda: os.kill(*children("quantize.child"), signal.SIGKILL))))

    assert os.listdir(tmp_path) == []
    quantize(attrs.evolve(job, scheme="Q8_0"))
    assert os.listdir(tmp_path) == ["out.gguf"]


@linux
def test_the_disk_becomes_full(tmp_path):
    """A limit on the size of files stands in for it: every further write fails."""
    import resource

    def fill():
        resource.prlimit(*children("quantize.child"), resource.RLIMIT_FSIZE, (1000, 1000))

    with pytest.raises(EngineError, match="could not write"):
        quantize(make_job(TINY, tmp_path / "out.gguf", SCHEME, threads=1, progress=At(fill)))

    assert os.listdir(tmp_path) == []


def test_an_assertion_of_the_engine(tmp_path):
    """Nothing that the pipeline lets through; a crash is told with the engine's last words."""
    source = write_llama(tmp_path / "llama.gguf", width=256)
    task = make_task(source, tmp_path / "out.gguf", embedding_type=TYPE_IDS["IQ2_XXS"])

    with pytest.raises(EngineCrashed, match=r"(?s)SIGABRT.*GGML_ASSERT\(imatrix != NULL\)"):
        run_task(task, tmp_path, Recorded().stage("", None, "tensors"))


def test_the_child_ends_with_its_standard_input(tmp_path):
    """How it follows its parent where the kernel does not see to it."""
    source = tmp_path / "bf16.gguf"
    quantize(make_job(TINY, source, "BF16"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pajamas_gguf.quantize.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(json.dumps(attrs.asdict(make_task(source, tmp_path / "out.gguf"))).encode() + b"\n")
    process.stdin.flush()
    for line in process.stdout:
        if json.loads(line).get("index") == AT:
            break

    process.stdin.close()

    assert not any(json.loads(line)["event"] == "done" for line in process.stdout)
    process.stdout.close()
    assert process.wait() == 1


def make_task(source, output, **options):
    return Task(
        sources=[str(source)], output=str(output), ftype=SCHEMES[SCHEME].ftype, threads=1, patterns=[], **options
    )
