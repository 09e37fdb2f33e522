"""Environments of their own: made by real venv and pip from wheels in a folder, used, checked, replaced, removed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pajamas
from environment_dists import build_core, clay_artifact, install_core, link_libraries, write_clay, write_wheel
from pajamas.environments import record
from pajamas.environments.sources import pip_arguments
from pajamas.errors import DownloadError, EngineError, EngineMissing, UsageError
from pajamas.operations.doctor import diagnose
from pajamas.operations.environment_checks import check
from pajamas.operations.environments import create_environment, list_environments, remove_environment
from pajamas.operations.plugin_list import list_plugins
from plugin_dists import write_dist

PIP = ("--no-deps",)
"""The libraries of this environment stand in for the package index: nothing of them is installed anew."""


class World:
    """The plugin clay, installed in `site`, and what pip and its environment find everything by."""

    def __init__(self, folder: Path, core: Path) -> None:
        self.folder, self.site, self.wheels = folder, folder / "site", folder / "wheels"
        self.wheels.mkdir()
        write_clay(self.site, self.wheels)
        install_core(core, self.site, self.wheels)
        self.variables = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHONPATH": str(link_libraries(folder / "libraries")),
            "PAJAMAS_ENVIRONMENTS": str(folder / "environments"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        program = f"import sys; sys.path.insert(0, {str(self.site)!r}); from pajamas.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **self.variables}, cwd=self.folder,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=300)
        return process.returncode, out, errors


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return build_core(tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def made(tmp_path_factory, core):
    """A world in which the program has made the environment."""
    world = World(tmp_path_factory.mktemp("made"), core)
    status, out, errors = world.run("env", "create", "kiln", "--cpu", "--json", "--pip-args", " ".join(PIP))
    assert status == 0, errors
    return world, json.loads(out)


@pytest.fixture
def world(tmp_path, core, monkeypatch):
    """One of its own, with nothing made, seen by this process."""
    found = World(tmp_path, core)
    enter(found, monkeypatch)
    return found


@pytest.fixture
def here(made, monkeypatch):
    """The world in which it is made, seen by this process."""
    enter(made[0], monkeypatch)
    return made[0]


def enter(world, monkeypatch):
    monkeypatch.syspath_prepend(str(world.site))
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PAJAMAS_KILN_PYTHON", raising=False)
    # Set first, so that what is imported meanwhile goes with it at the end: other tests have plugins of that name.
    monkeypatch.setitem(sys.modules, "pajamas_clay", None)
    del sys.modules["pajamas_clay"]


def listed(name="kiln"):
    (found,) = [one for one in list_environments() if one.name == name]
    return found


def checked():
    """What doctor says of it."""
    (found,) = check([plugin for plugin in list_plugins() if plugin.name == "clay"])
    return found


def pots(world):
    return [path for path in (world.folder / "environments/kiln").iterdir() if path.is_dir()]


@pytest.mark.slow
class TestMade:
    def test_the_record_says_what_is_in_it(self, made):
        world, said = made
        packages = said["packages"]

        assert said["python"].startswith(str(world.folder / "environments/kiln/"))
        assert (packages["kiln-engine"], packages["pajamas"]) == ("1.0", pajamas.__version__)
        assert "pajamas-clay" in packages and "kiln-glaze" in packages
        assert said["sources"] == {"pajamas": f"pajamas=={pajamas.__version__}", "pajamas-clay": "pajamas-clay==1.0"}
        assert said["size"] > 1e6
        assert "kiln-soot" not in packages

    def test_a_session_lives_in_it(self, here):
        with pajamas.Runtime(clay_artifact(here.folder)) as runtime:
            text = runtime.generate("hello", raw=True).text

        assert text.startswith(f"kiln 1.0 of {here.folder / 'environments/kiln'}")
        assert "in an environment of its own" in " ".join(runtime.reasons)

    def test_lists_and_doctor_know_it(self, here):
        _, out, _ = here.run("env", "list")
        checks = {item.subject: item for item in diagnose()}

        assert listed().state == "ready"
        assert re.search(r"^kiln +clay +ready +\d+", out, re.MULTILINE) and str(listed().python) in out
        assert checks["environment kiln"].state == "ok"
        assert "kiln-engine 1.0 kiln-glaze 1.0 on Python" in checks["environment kiln"].finding
        assert checks["backend clay"].finding == "Kiln 1.0 works on: cpu"

    def test_asked_for_again_it_stays(self, here):
        before = record.read("kiln")

        assert create_environment("kiln") == before

    def test_a_variable_names_another(self, here, monkeypatch):
        python = record.read("kiln").python
        monkeypatch.setenv("PAJAMAS_ENVIRONMENTS", str(here.folder / "none"))
        monkeypatch.setenv("PAJAMAS_KILN_PYTHON", str(python))
        found = listed()
        with pajamas.Runtime(clay_artifact(here.folder)) as runtime:
            text = runtime.generate("hello", raw=True).text
        monkeypatch.setenv("PAJAMAS_KILN_PYTHON", str(here.folder / "gone"))
        with pytest.raises(EngineMissing) as caught:
            pajamas.Runtime(clay_artifact(here.folder))

        assert (found.state, found.python) == ("ready", str(python))
        assert text.startswith("kiln 1.0 of ")
        assert "PAJAMAS_KILN_PYTHON is set, and" in caught.value.why and "cannot be run" in caught.value.why

    def test_other_pins_make_it_outdated(self, here):
        path = here.folder / "environments/kiln/environment.json"
        whole = path.read_text()
        path.write_text(whole.replace('"kiln-engine==1.0"', '"kiln-engine==0.9"'))
        try:
            found = listed()
            said = checked()
        finally:
            path.write_text(whole)

        assert found.state == "outdated"
        assert "was made from kiln-engine==0.9 kiln-glaze, and clay asks for kiln-engine==1.0" in found.finding
        assert said.state == "problem" and said.finding == "it has kiln-engine 1.0, and kiln-engine==0.9 is asked for"

    def test_an_engine_that_is_gone_is_found_by_doctor(self, here):
        (module,) = (here.folder / "environments/kiln").glob("*/lib/*/site-packages/kiln_engine.py")
        module.rename(module.with_suffix(".gone"))
        try:
            said = checked()
        finally:
            module.with_suffix(".gone").rename(module)

        assert (said.state, said.fix) == ("problem", "pajamas env create kiln --force")
        assert "No module named 'kiln_engine'" in said.finding

    def test_options_of_pip_that_cannot_be_read_are_named(self, here):
        with pytest.raises(UsageError, match="No closing quotation"):
            create_environment("kiln", pip_args='--find-links "x', force=True)

    def test_a_failed_replacement_leaves_it_whole(self, here):
        before = record.read("kiln")
        with pytest.raises(DownloadError):
            create_environment("kiln", force=True, pip_args=["--find-links", "nowhere", *PIP, "kiln-nothing"])

        assert record.read("kiln") == before
        assert [str(before.python)[: len(str(path))] for path in pots(here)] == [str(path) for path in pots(here)]
        with pajamas.Runtime(clay_artifact(here.folder)) as runtime:
            assert runtime.generate("hello", raw=True).text.startswith("kiln 1.0")


def test_without_it_the_error_says_how_to_make_it(world):
    with pytest.raises(EngineMissing) as caught:
        pajamas.Runtime(clay_artifact(world.folder))
    (said,) = [item for item in diagnose() if item.subject == "backend clay"]

    assert caught.value.fix == "pajamas env create kiln"
    assert caught.value.why == "kiln-engine is not installed, and its environment 'kiln' is not made"
    assert (said.state, said.fix) == ("note", "pajamas env create kiln")
    assert (listed().state, listed().record) == ("missing", None)


def test_what_is_not_declared(world):
    with pytest.raises(UsageError, match="has an environment 'oven'") as caught:
        create_environment("oven")
    with pytest.raises(UsageError, match="no variant for metal"):
        create_environment("kiln", device="metal")
    with pytest.raises(UsageError, match="no environment 'kiln'"):
        remove_environment("kiln")

    assert "kiln" in caught.value.why


def test_one_that_does_not_work_is_not_made(world):
    write_wheel(world.wheels, "kiln-engine", "1.0", "kiln_engine", "raise ImportError('no fire')")

    with pytest.raises(EngineError, match="does not work") as caught:
        create_environment("kiln", device="cpu", pip_args=PIP)

    assert "no fire" in caught.value.why
    assert (listed().state, pots(world)) == ("missing", [])
    assert "did not come to its end" in listed().finding


def test_killed_in_the_middle_nothing_looks_whole(world):
    process = world.start("env", "create", "kiln", "--cpu", "--pip-args", " ".join(PIP))
    until(lambda: (world.folder / "environments/kiln").is_dir() and pots(world))
    with pytest.raises(UsageError, match="by another process"):
        remove_environment("kiln")
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert record.read("kiln") is None
    assert listed().state == "missing"
    remove_environment("kiln")
    assert [path.name for path in (world.folder / "environments").iterdir()] == ["kiln.lock"]


def test_one_of_an_uninstalled_plugin_can_be_removed(world):
    (world.folder / "environments/stove/1a2b").mkdir(parents=True)

    assert listed("stove").fix == "pajamas env remove stove"
    assert world.run("env", "remove", "stove", "--json") == (0, '{\n  "removed": "stove"\n}\n', "")
    assert [one.name for one in list_environments() if one.backend is None] == []


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(("origin", "arguments"), [
    (None, ("pajamas-slip==3.1",)),
    ({"url": "file://{folder}", "dir_info": {"editable": True}}, ("-e", "{folder}")),
    ({"url": "file://{folder}", "dir_info": {}}, ("{folder}",)),
    ({"url": "file:///gone/pajamas_slip.whl", "archive_info": {}}, ("pajamas-slip==3.1",)),
    ({"url": "https://example.org/slip.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}},
     ("pajamas-slip @ git+https://example.org/slip.git@ab12",)),
    ({"url": "https://example.org/slip.whl", "archive_info": {}}, ("pajamas-slip @ https://example.org/slip.whl",)),
])  # fmt: skip
def test_pajamas_is_installed_there_as_here(dists, origin, arguments):
    write_dist(dists, "pajamas-slip", "", entry="slip", version="3.1")
    if origin is not None:
        text = json.dumps(origin).replace("{folder}", str(dists))
        (dists / "pajamas_slip-3.1.dist-info/direct_url.json").write_text(text)

    assert pip_arguments("pajamas-slip") == tuple(part.replace("{folder}", str(dists)) for part in arguments)
