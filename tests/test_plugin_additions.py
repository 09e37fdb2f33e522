"""A plugin that is no backend adds a command, an operation, an alias and a metric, for the shell and for Python."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import abacus
import cliprogram
import pajamas
from pajamas.errors import PluginConflict, UsageError
from pajamas.plugins import PluginHost

TEXT = "Once upon a time"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("abacus")
    abacus.write(root)
    return root


@pytest.fixture(scope="module")
def run(cli_home, folder):
    def run(*arguments, **variables):
        return cliprogram.run(*arguments, home=cli_home, **{"PYTHONPATH": str(folder)} | variables)

    return run


@pytest.fixture
def host(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield PluginHost()
    for name in set(sys.modules) - before:
        if name.startswith("pajamas_abacus"):
            del sys.modules[name]


def test_help_shows_the_command_and_imports_nothing_of_the_plugin(folder):
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop())\nfrom pajamas.cli.main import main; sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "finally: sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60)

    assert "Commands of plugins:" in done.stdout
    assert "Count the tokens of a text. (pajamas-abacus)" in done.stdout
    assert "not shown in the list" not in done.stdout
    assert not [name for name in done.stderr.split() if name.startswith(("pajamas_", "pluggy", "numpy", "attr"))]


def test_the_command_runs_with_a_backend_and_as_json(run, tiny_gguf):
    plain = run("count", TEXT, "--model", tiny_gguf)
    record = run("--backend", "gguf", "count", TEXT, "--model", tiny_gguf, "--json")
    wrong = run("--backend", "papyrus", "count", TEXT, "--model", tiny_gguf)

    assert plain.returncode == 0, plain.stderr.decode()
    assert plain.stdout.decode() == f"{json.loads(record.stdout)['tokens']} tokens\n"
    assert wrong.returncode == 2 and b"no backend 'papyrus'" in wrong.stderr


def test_its_own_help_and_completion_are_those_of_any_command(run):
    words = {"_PAJAMAS_COMPLETE": "bash_complete", "COMP_CWORD": "1"}

    assert run("count", "--help").stdout.startswith(b"Usage: pajamas count [OPTIONS] TEXT")
    assert b"plain,count" in run(COMP_WORDS="pajamas co", **words).stdout
    assert run(COMP_WORDS="pajamas count --mo", **words | {"COMP_CWORD": "2"}).stdout == b"plain,--model\n"


def test_a_misspelt_command_suggests_it(run):
    done = run("cuont")

    assert done.returncode == 2
    assert b"Did you mean 'count'?" in done.stderr


def test_the_operation_runs_through_the_library(host, tiny_gguf):
    with pajamas.Runtime(tiny_gguf) as model:
        expected = len(model.tokenize(TEXT))

    assert pajamas.run("count", text=TEXT, model=tiny_gguf, host=host) == expected
    assert pajamas.run("count", text=TEXT, model=tiny_gguf) == expected


def test_the_operations_arguments_are_checked_by_name(host):
    with pytest.raises(UsageError) as caught:
        pajamas.run("count", txt=TEXT)
    assert "'txt'" in caught.value.what and "text" in caught.value.why
    with pytest.raises(UsageError, match="text"):
        pajamas.run("count")


def test_an_unknown_operation_lists_it(host):
    with pytest.raises(UsageError) as caught:
        pajamas.run("coumt")

    assert "count" in caught.value.why
    assert "'count'" in caught.value.fix


def test_the_alias_is_one_like_any_other(run, host):
    assert json.loads(run("list", "--json").stdout)["aliases"]["pebble"] == "Org/Pebble"
    assert run("info", "pebble").stderr.count(b"Org/Pebble") > 0


def test_the_metric_is_measured_and_written_up(host, tiny_gguf, tmp_path):
    folder = tmp_path / "report"
    result = pajamas.run(
        "validate", quantized=tiny_gguf, metrics="token-count", text=TEXT, alone=True, report=folder, host=host
    )

    (finding,) = [finding for finding in result.findings if finding.metric == "token-count"]
    with pajamas.Runtime(tiny_gguf) as model:
        assert finding.value == len(model.tokenize(TEXT))
    assert set(result.reports) == {folder / "tokens.txt", folder / "index.html"}
    assert (folder / "tokens.txt").read_text() == f"{finding.value:.0f}"
    assert "token-count" in (folder / "index.html").read_text()


def test_plugins_lists_all_that_it_adds(run):
    found = [record for record in json.loads(run("plugins", "--json").stdout) if record["version"] == "0.4"]
    table = run("plugins").stdout.decode()

    assert [(record["kind"], record["name"]) for record in found] == [
        ("plugin", "abacus"),
        ("command", "count"),
        ("operation", "count"),
    ]
    assert found[0]["aliases"] == {"pebble": "Org/Pebble"}
    assert found[0]["metrics"] == {"token-count": "how many tokens the text is"}
    assert all(record["problem"] is None for record in found)
    assert "alias:    pebble: Org/Pebble" in table and "metric:   token-count: how many" in table


@pytest.mark.parametrize("name", ["count", "pajamas-abacus", "Pajamas_Abacus"])
def test_it_can_be_disabled_by_its_own_name_and_by_its_distributions(run, name):
    help = run("--help", PAJAMAS_DISABLE_PLUGINS=name)
    done = run("count", TEXT, PAJAMAS_DISABLE_PLUGINS=name)

    assert b"Count the tokens" not in help.stdout
    assert done.returncode == 1
    assert b"isabled by PAJAMAS_DISABLE_PLUGINS" in done.stderr
    assert b"no plugin or distribution" not in done.stderr


def test_a_name_that_disables_nothing_is_warned_of_once(run):
    done = run("list", PAJAMAS_DISABLE_PLUGINS="abbacus")

    assert done.stderr.count(b"PAJAMAS_DISABLE_PLUGINS names abbacus") == 1


def test_an_operation_of_two_distributions_is_an_error_naming_both(host, tmp_path, monkeypatch):
    for part in ("METADATA", "entry_points.txt"):
        text = abacus.FILES[f"pajamas_abacus-0.4.dist-info/{part}"].replace("pajamas-abacus", "pajamas-rods")
        path = tmp_path / "pajamas_rods-0.4.dist-info" / part
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(line.strip() for line in text.splitlines()))
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(PluginConflict, match=r"pajamas-abacus 0\.4 and pajamas-rods 0\.4"):
        pajamas.run("count", text=TEXT)
