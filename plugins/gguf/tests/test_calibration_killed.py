"""Kill a calibration at any moment: nothing under the final name, nothing left running, and a second run works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import attrs
import pytest

from killing import children, is_alive, start
from pajamas.errors import EngineCrashed
from pajamas_gguf.imatrix.answer_child import Task as AnswerTask
from pajamas_gguf.imatrix.child import Task as MatrixTask
from pajamas_gguf.probe import cache_folder
from pajamas_gguf.quantize.pipeline import quantize
from quantize_jobs import TINY, Recorded, make_job

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# The unit of the child's progress, its module, and how many samples keep it busy.
CHILDREN = [("windows", "imatrix.child", 100_000), ("answers", "imatrix.answer_child", 64)]

# Tells of the first window or answer, with the process ids of its children, and stops there for good.
RUN = """
import os, sys, time
from pathlib import Path
from quantize_jobs import Recorded, make_job
from pajamas_gguf.quantize.pipeline import quantize

class Stopping(Recorded):
    def advance(self, amount, note=""):
        super().advance(amount, note)
        if self.stages[-1][2] == sys.argv[3]:
            print(Path("/proc/self/task", str(os.getpid()), "children").read_text(), flush=True)
            time.sleep(60)

model, output, unit, samples = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
quantize(make_job(model, output, calibration_samples=samples, keep_imatrix=True, progress=Stopping()))
"""


@pytest.fixture
def model(tmp_path):
    """A function: the bundled model, with the texts that it brings along where these are to be used."""
    shutil.rmtree(cache_folder() / "calibration", ignore_errors=True)
    general = tmp_path / "model"
    shutil.copytree(TINY, general, ignore=shutil.ignore_patterns("*.jsonl"))
    return {"windows": TINY, "answers": general}


@pytest.mark.parametrize(("unit", "module", "samples"), CHILDREN)
def test_the_parent_is_killed(unit, module, samples, model, tmp_path):
    folder = tmp_path / "made"
    process, (child,) = start(RUN, model[unit], folder / "out.gguf", unit, samples)
    # A stopped process cannot leave by itself: the kernel must end it with its parent.
    os.kill(child, signal.SIGSTOP)

    process.kill()
    process.communicate()

    while is_alive(child):  # the suite's own timeout ends this
        time.sleep(0.05)
    assert [name for name in os.listdir(folder) if not name.startswith(".pajamas-work-")] == []
    quantize(make_job(TINY, folder / "out.gguf"))
    assert os.listdir(folder) == ["out.gguf"]


@pytest.mark.parametrize(("unit", "module", "samples"), CHILDREN)
def test_the_child_is_killed(unit, module, samples, model, tmp_path):
    folder = tmp_path / "made"

    class Killing(Recorded):
        def advance(self, amount, note=""):
            super().advance(amount, note)
            if self.stages[-1][2] == unit:
                os.kill(*children(module), signal.SIGKILL)

    job = make_job(model[unit], folder / "out.gguf", calibration_samples=samples, keep_imatrix=True)
    with pytest.raises(EngineCrashed, match="SIGKILL"):
        quantize(attrs.evolve(job, progress=Killing()))

    assert os.listdir(folder) == []
    assert children(module) == []


@pytest.mark.parametrize(
    "task",
    [
        MatrixTask(
            model="", text="", name="x", output="", threads=1, extra_buffers=True, max_chunks=None,
        ),
        AnswerTask(
            model="", prompts=["Hello"], seeds=[1], together=1, max_tokens=4096, temperature=1.0, top_k=0, top_p=1.0,
            threads=1, extra_buffers=True,
        ),
    ],
    ids=["matrix", "answers"],
)  # fmt: skip
def test_the_child_ends_with_its_standard_input(task, tiny_bf16, tmp_path):
    """How it follows its parent where the kernel does not see to it."""
    if isinstance(task, MatrixTask):
        (tmp_path / "text.txt").write_text("Some words of a long text. " * 50_000)
        task = attrs.evolve(task, text=str(tmp_path / "text.txt"), output=str(tmp_path / "m.gguf"))
        module = "pajamas_gguf.imatrix.child"
    else:
        task = attrs.evolve(task, prompts=task.prompts * 500, seeds=list(range(500)))
        module = "pajamas_gguf.imatrix.answer_child"
    process = subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(json.dumps(attrs.asdict(attrs.evolve(task, model=str(tiny_bf16)))).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["event"] in ("started", "step")

    process.stdin.close()

    assert not any(json.loads(line)["event"] == "done" for line in process.stdout)
    process.stdout.close()
    assert process.wait() == 1
    assert not (tmp_path / "m.gguf").exists()
