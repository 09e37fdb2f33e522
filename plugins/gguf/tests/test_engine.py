"""The engine's import, its probe, and what the backend says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pajamas.types import Feature
from pajamas_gguf import child, engine, probe
from pajamas_gguf.backend import describe
from pajamas_gguf.cores import usable_cores
from pajamas_gguf.probe import Probe


def run_python(code, **environment):
    names = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**names, **environment}, check=False
    )


PRINT_WAITING = """
import os
from pajamas_gguf import engine
engine.library()
print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
"""


def test_threads_wait_without_spinning_unless_the_user_says_how():
    assert run_python(PRINT_WAITING).stdout.split() == ["passive", "0"]
    assert run_python(PRINT_WAITING, OMP_WAIT_POLICY="active").stdout.split() == ["active", "None"]


def test_a_missing_engine_names_what_to_install():
    code = """
import sys
sys.modules["llama_cpp"] = None
from pajamas.errors import EngineMissing
from pajamas_gguf import engine
for _ in range(2):
    try:
        engine.library()
    except EngineMissing as error:
        print(error.fix)
"""
    assert run_python(code).stdout == "pip install pajamas-gguf\n" * 2


def test_a_library_that_does_not_load_is_an_engine_that_is_missing(tmp_path):
    (tmp_path / "libllama.so").write_bytes(b"no library")
    code = """
from pajamas.errors import EngineMissing
from pajamas_gguf import engine
try:
    engine.library()
except EngineMissing as error:
    print(error.what)
"""
    done = run_python(code, LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert done.stdout == "llama.cpp's library cannot be loaded.\n", done.stderr


def test_the_engine_prints_nothing_and_its_errors_are_kept(tmp_path, capfd):
    lib = engine.library()
    with engine.recorded() as lines:
        assert not lib.llama_model_load_from_file(str(tmp_path / "missing").encode(), lib.llama_model_default_params())

    assert any("missing" in line for line in lines)
    assert "missing" in engine.last_error() or "failed" in engine.last_error()
    assert capfd.readouterr() == ("", "")


def test_describe_loads_no_engine():
    code = "import sys; from pajamas_gguf.backend import describe; describe(); print('llama_cpp' in sys.modules)"

    assert run_python(code).stdout == "False\n"


def test_this_build_works_here_and_the_result_is_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert probe.probed() is None
    assert "not tried" in describe().notes[0]
    found = probe.probe()

    assert found.extra_buffers and found.unavailable is None and "cpu" in found.devices
    monkeypatch.setattr(child, "run", None)  # nothing is tried again
    assert probe.probe() == probe.probed() == found
    assert describe().notes == () and describe().devices == found.devices


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache, and a child process whose answers the test gives: builds that crash are not at hand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def answers(by_extra_buffers):
        monkeypatch.setattr(child, "run", lambda _module, request, _time: by_extra_buffers[request["extra_buffers"]])

    return answers


CRASH = child.Crash("it was killed by SIGSEGV", "")


def test_a_build_that_crashes_with_extra_buffers_is_used_without(fresh):
    fresh({True: CRASH, False: {"devices": ["cpu"]}})
    found = probe.probe()

    assert not found.extra_buffers and found.unavailable is None
    assert "SIGSEGV" in describe().notes[0] and describe().unavailable is None
    assert probe.probed() == found


def test_a_build_that_computes_wrong_numbers_is_used_without_too(fresh):
    fresh({True: {"failed": "it computes wrong numbers"}, False: {"devices": ["cpu"]}})

    assert "wrong numbers" in probe.probe().notes[0]


def test_a_build_that_always_crashes_is_unavailable(fresh, tiny_q4, load_session):
    from pajamas.errors import EngineError

    fresh({True: CRASH, False: CRASH})

    assert "SIGSEGV" in probe.probe().unavailable
    assert "SIGSEGV" in describe().unavailable and describe().fix
    with pytest.raises(EngineError, match="does not work here"):
        load_session(tiny_q4)


def test_a_child_that_was_only_slow_is_tried_again_next_time(fresh):
    slow = child.Crash("it did not answer within 60 seconds", "", slow=True)
    fresh({True: slow, False: {"devices": ["cpu"]}})

    assert not probe.probe().extra_buffers
    assert probe.probed() is None


def test_a_damaged_memory_of_a_probe_is_no_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = probe.cache_folder() / f"probe-{probe.build_key()}.json"
    place.parent.mkdir(parents=True)
    for content in ("", "[]", "{}", "null", json.dumps({"extra_buffers": True})):
        place.write_text(content)
        assert probe.probed() is None


def test_the_key_changes_with_the_library(monkeypatch, tmp_path):
    before = probe.build_key()
    library = tmp_path / "libllama.so"
    library.write_bytes(b"1")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    other = probe.build_key()
    library.write_bytes(b"12")

    assert len({before, other, probe.build_key()}) == 3


def test_a_session_without_extra_buffers_answers(tiny_q4, load_session, monkeypatch):
    from pajamas.types import GenerateRequest, Sampling
    from pajamas_gguf.session import load

    monkeypatch.setattr(load, "probe", lambda: Probe(extra_buffers=False))
    session = load_session(tiny_q4)
    prompt = "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    request = GenerateRequest(prompt=prompt, sampling=Sampling(temperature=0), max_tokens=12)

    assert "".join(chunk.text for chunk in session.generate(request)) == "2 + 2 = 4."
    assert not any("AMX" in line or "REPACK" in line for line in session._model.load_log)


def test_the_backend_declares_what_works():
    info = describe()

    assert info.name == "gguf" and info.formats == ("gguf",) and "Q4_K_M" in info.schemes
    assert info.engine_version == engine.version()
    assert {Feature.SCORE, Feature.EMBEDDINGS, Feature.GRAMMAR} <= info.features
    assert Feature.PARALLEL in info.features


def test_a_child_says_how_it_died():
    assert child.run("pajamas_gguf.no_such_module", {}, 30).why == "it ended with exit code 1"
    assert child.run("pajamas_gguf.no_such_module", {}, 0.001).slow


def make_machine(root, *, siblings, groups, cgroup):
    for cpu, text in siblings.items():
        place = root / f"devices/system/cpu/cpu{cpu}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(text)
    for name, content in groups.items():
        place = root / "fs/cgroup" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    process = root / "process"
    process.mkdir()
    (process / "cgroup").write_text(cgroup)
    return root, process


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
@pytest.mark.parametrize(
    ("siblings", "groups", "cgroup", "cores"),
    [
        ({}, {}, "0::/\n", 8),
        ({cpu: f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n" for cpu in range(8)}, {}, "0::/\n", 4),
        ({}, {"a/cpu.max": "max 100000", "a/b/cpu.max": "250000 100000"}, "0::/a/b\n", 3),
        ({}, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b\n", 1),
        ({}, {"cpu/x/cpu.cfs_quota_us": "200000", "cpu/x/cpu.cfs_period_us": "100000"}, "5:cpu:/x\n", 2),
        ({}, {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, "5:cpu:/x\n", 8),
        ({}, {"a/cpu.max": "garbage"}, "0::/a\n", 8),
    ],
)
def test_cores_are_counted_by_set_siblings_and_quota(monkeypatch, tmp_path, siblings, groups, cgroup, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    system, process = make_machine(tmp_path, siblings=siblings, groups=groups, cgroup=cgroup)

    assert usable_cores(system, process) == cores


def test_this_machine_has_cores():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert usable_cores(Path("/nonexistent"), Path("/nonexistent")) >= 1
