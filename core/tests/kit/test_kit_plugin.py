"""The pytest plugin: what it costs those who do not test a backend, and the fixtures it gives those who do."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from kit_backend import with_fault


def test_the_plugin_imports_only_pytest():
    """It is loaded in every pytest run of an environment that holds pajamas."""
    program = (
        "import sys, pytest; before = set(sys.modules); import pajamas.testing.plugin; "
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('_')))"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {name for name in loaded if name not in sys.stdlib_module_names} == {
        "pajamas",
        "pajamas.testing",
        "pajamas.testing.plugin",
    }


def test_every_rule_reads_well_on_its_own():
    """The first line of each docstring is the rule: it stands with a failure, and on the page of the kit."""
    from pajamas.testing.conformance import TESTS

    for name, rule in TESTS.items():
        first, *rest = (rule.__doc__ or "").strip().splitlines()
        assert first.endswith("."), name
        assert not rest or not rest[0].strip(), name


def test_every_group_is_in_the_summary():
    from pajamas.testing.conformance import TESTS
    from pajamas.testing.plugin import GROUPS

    assert {rule.__module__ for rule in TESTS.values()} == {f"pajamas.testing.{name}" for name in GROUPS}


def test_the_kit_is_silent_where_no_backend_is_tested(run_pytest):
    run = run_pytest("def test_nothing(): pass\n")

    assert run.passed == ("test_nothing",)
    assert "pajamas conformance" not in run.text


def test_the_kit_itself_is_not_collected_where_it_is_imported(run_pytest):
    run = run_pytest("from pajamas.testing import BackendConformance as TestKit\n\ndef test_nothing(): pass\n")

    assert run.passed == ("test_nothing",)


def test_the_kits_tests_are_collected_whatever_a_project_calls_its_own(check):
    run = check(with_fault(), tests=("test_registers",), ini="python_functions = check_*\n")

    assert "test_registers" in run.passed


def test_a_home_of_its_own(pajamas_home):
    from pajamas import settings, store

    assert settings.load().path == pajamas_home / "config.toml"
    assert store.models_folder() == pajamas_home / "models"
    assert os.environ["HF_HOME"] == str(pajamas_home / "huggingface")


def test_fake_distributions_are_found_here_and_in_other_processes(fake_distributions):
    from pajamas.plugins import PluginHost

    fake_distributions("pajamas-paper", with_fault(), entry="paper", version="3.1")
    program = "from pajamas.plugins import PluginHost; print(PluginHost().backend('paper').describe().engine)"

    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert "paper" in PluginHost().backend_names()
    assert there.strip() == "paper"


def test_the_summary_counts_by_group_and_gives_the_reasons(check):
    body = "@pytest.mark.xfail(reason='a known fault')\ndef test_the_artifact_loads(self): pass"

    run = check(with_fault(("    return Session(paper_engine)", "    return None")), body=body)

    assert "TestPaper: backend paper (pajamas-paper 1.0)" in run.text
    assert re.search(r"  loading     \d passed, 1 xfailed, 1 skipped\n", run.text)
    assert "xfailed: a known fault (test_the_artifact_loads)" in run.text
    assert "skipped: there is no session: see test_the_artifact_loads (test_" in run.text
    assert "NOT PROVEN: 3 tests need what a known fault keeps from them" in run.text


def test_the_kit_does_not_run_without_its_plugin(check):
    run = check(with_fault(), tests=("test_registers",), options=("-pno:pajamas",))

    assert "is switched off" in run.failed["test_registers"]


def test_a_model_that_is_not_here_says_what_to_install(check, monkeypatch):
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", "tiny")

    run = check(with_fault(), tests=("Loading",))

    assert list(run.failed) == ["test_the_model_becomes_an_artifact"]
    assert "pip install pajamas-tiny" in run.failed["test_the_model_becomes_an_artifact"]
