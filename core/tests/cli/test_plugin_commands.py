"""Commands of plugins: which program has them, what is said of broken ones, and when."""

from __future__ import annotations

import sys

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from pajamas.cli.main import pajamas, quant, run
from pajamas.errors import PluginConflict, PluginLoadError
from pajamas.operations.plugin_list import list_plugins
from plugin_dists import write_dist

GOOD = '''
    """Do {name}."""
    import click

    @click.command()
    def command():
        click.echo("did {name}")
'''


def offer(dists, name, source=GOOD, distribution=None, **options):
    distribution = distribution or f"pajamas-{name}"
    write_dist(dists, distribution, source.replace("{name}", name), entry=name, group="pajamas.commands", **options)
    folder = distribution.replace("-", "_")
    points = dists / f"{folder}-{options.get('version', '1.0')}.dist-info/entry_points.txt"
    points.write_text(points.read_text().replace(f"= {folder}", f"= {folder}:command"))


def invoke(*arguments, program=pajamas):
    return CliRunner().invoke(program, list(arguments))


def problems(name):
    return [status.problem for status in list_plugins() if status.kind == "command" and status.name == name]


def test_each_program_offers_what_is_its_own_where_a_plugin_provides_it(dists, monkeypatch):
    real = "pajamas-bench,pajamas-serve,pajamas-validate"  # which would be second claims
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", real)
    for name in ("measure", "serve", "benchmark"):
        offer(dists, name, distribution=f"gauge-{name}")

    assert [word for word in run.list_commands(None) if word not in run.names] == ["benchmark", "serve"]
    assert "measure" in pajamas.list_commands(None) and "serve" in pajamas.list_commands(None)
    assert quant.list_commands(None) == list(quant.names)
    assert invoke("serve", program=run).output == "did serve\n"
    assert "It is a command of `pajamas`: pajamas measure" in invoke("measure", program=run).output


def test_the_program_that_makes_artifacts_offers_validate(dists, monkeypatch):
    monkeypatch.setenv("PAJAMAS_DISABLE_PLUGINS", "pajamas-validate")
    offer(dists, "validate", distribution="pajamas-gauge")

    assert invoke("validate", program=quant).output == "did validate\n"


@pytest.mark.parametrize(
    ("source", "options", "reason"),
    [
        ("import nothing_of_that_name", {}, "No module named 'nothing_of_that_name'"),
        ("def (:", {}, "SyntaxError"),
        ("raise SystemExit(0)", {}, "SystemExit: 0"),
        ("command = print", {}, "an entry point of pajamas.commands names a click command"),
        (GOOD, {"requires": "pajamas>=99"}, "it needs pajamas>=99"),
    ],
)
def test_a_broken_command_is_in_the_help_and_an_error_only_where_it_is_run(dists, source, options, reason):
    offer(dists, "mend", source, **options)

    help = invoke("--help")
    done = invoke("mend")

    assert help.exit_code == 0 and "mend" in help.output
    assert isinstance(done.exception, PluginLoadError)
    assert "pajamas-mend 1.0" in done.exception.what and reason in done.exception.why
    assert [reason in problem for problem in problems("mend")] == [True]


def test_completion_passes_over_a_broken_command(dists):
    offer(dists, "mend", "1 / 0")
    completion = BashComplete(pajamas, {}, "pajamas", "_PAJAMAS_COMPLETE")

    assert completion.get_completions(["mend"], "--") != []  # the group's own
    assert [item.value for item in completion.get_completions([], "men")] == ["mend"]


def test_core_keeps_its_own_commands_and_the_claim_is_reported(dists):
    offer(dists, "info", distribution="pajamas-nosy")

    assert "did info" not in invoke("info", "--help").output
    assert invoke("--help").output.count("  info ") == 1
    assert problems("info") == ["pajamas has a command 'info' of its own, which stays"]


def test_a_command_that_two_distributions_claim_is_an_error_naming_both_where_it_is_run(dists):
    offer(dists, "polish", distribution="pajamas-rag")
    offer(dists, "polish", distribution="pajamas-wax")

    done = invoke("polish")

    assert "(pajamas-rag and pajamas-wax both claim it)" in invoke("--help").output
    assert isinstance(done.exception, PluginConflict)
    assert all("pajamas-rag 1.0 and pajamas-wax 1.0" in problem for problem in problems("polish"))
    assert len(problems("polish")) == 2


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""First.\n\nSecond."""', "First. (pajamas-mend)"),
        ("command = None", "(pajamas-mend)"),
        ("def (:", "(pajamas-mend)"),
    ],
)
def test_the_line_of_help_is_read_from_the_source(dists, source, line):
    offer(dists, "mend", source)

    assert f"  mend  {line}" in " ".join(invoke("--help").output.split()).replace(" mend ", "  mend  ")
    assert "pajamas_mend" not in sys.modules


def test_without_a_docstring_the_line_is_the_distributions_summary(dists):
    offer(dists, "mend", "command = None")
    metadata = dists / "pajamas_mend-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + "Summary: Mends things.\n")

    assert "Mends things. (pajamas-mend)" in invoke("--help").output


def test_a_command_in_a_package_is_described_without_executing_the_package(dists):
    offer(dists, "mend", "")
    (dists / "pajamas_mend.py").unlink()
    package = dists / "pajamas_mend"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('executed')")
    (package / "command.py").write_text('"""Mend it."""')
    points = dists / "pajamas_mend-1.0.dist-info/entry_points.txt"
    points.write_text("[pajamas.commands]\nmend = pajamas_mend.command:command\n")

    assert "Mend it. (pajamas-mend)" in invoke("--help").output


def test_an_option_of_a_plugin_s_own_goes_before_the_program_s(dists):
    offer(dists, "loud", GOOD.replace("@click.command()", '@click.command()\n    @click.option("-v", "voice")').replace(
        "def command():", "def command(voice):").replace('"did {name}"', "voice"))  # fmt: skip

    assert invoke("loud", "-v", "high").output == "high\n"
    assert invoke("loud", "-v", "high", "--trace-hooks").exit_code == 0
