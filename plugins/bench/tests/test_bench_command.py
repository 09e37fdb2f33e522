"""`pajamas benchmark` as a person runs it: table, JSON, report, baseline, exit codes."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from pajamas.cli import main
from pajamas.cli.state import State
from pajamas.errors import UsageError
from pajamas_bench import baseline as baselines
from pajamas_bench.report import markdown, page
from pajamas_bench.results import BenchmarkResult

SHORT = ("--prompt", "Hi <b>&|", "--num-tokens", "8", "--repeat", "2")


def run(*arguments, group=main.pajamas):
    return CliRunner().invoke(group, ["benchmark", *map(str, arguments)], obj=State())


@pytest.fixture(scope="module")
def report(echo_model, tmp_path_factory):
    """A report of two models, and what the command printed."""
    folder = tmp_path_factory.mktemp("report")
    done = run("--compare", echo_model, echo_model, *SHORT, "--context-lengths", "32,64", "--report", folder)
    assert done.exit_code == 0, done.output
    return folder, done.output


@pytest.fixture(scope="module")
def baseline(echo_model, tmp_path_factory):
    done = run("--model", echo_model, *SHORT, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def changed(baseline, path, factor):
    """A baseline whose times are `factor` times as long."""
    (candidate,) = baseline["candidates"]
    text = json.dumps(baseline)
    data = json.loads(text)
    figures = [data["candidates"][0]["load"], *data["candidates"][0]["cases"][0]["figures"]]
    for figure in figures:
        by = 1 / factor if figure["metric"].endswith("speed") else factor
        figure["values"] = [by * value for value in figure["values"]]
        for name in ("median", "low", "high"):
            figure[name] *= by
    assert candidate["cases"]
    path.write_text(json.dumps(data))
    return path


def test_json_is_the_record(baseline):
    (candidate,) = baseline["candidates"]

    assert baseline["schema"] == 2 and baseline["status"] == "measured"
    assert candidate["backend"] == "echo"
    assert candidate["cases"][0]["agree"] is True
    assert len(candidate["cases"][0]["figures"][0]["values"]) == 2


def test_a_regression_exits_with_5_and_none_with_0(echo_model, baseline, tmp_path):
    # By more than the widest interval that two runs can have, on however busy a machine.
    fast, slow = changed(baseline, tmp_path / "fast.json", 1e-60), changed(baseline, tmp_path / "slow.json", 1e60)

    worse = run("--model", echo_model, *SHORT, "--baseline", fast, "--max-regression", "20%")
    better = run("--model", echo_model, *SHORT, "--baseline", slow, "--max-regression", "20")

    assert (worse.exit_code, better.exit_code) == (5, 0)
    assert "FAIL (worse by more than 20 %)" in worse.output and "REGRESSION" in worse.output
    assert "PASS" in better.output and "REGRESSION" not in better.output
    assert re.search(r"Generation, tokens/s .*−.*worse", worse.output)


def test_a_baseline_of_two_models_or_of_other_cases_is_refused(tmp_path, baseline):
    data = json.loads(json.dumps(baseline))
    path = tmp_path / "base.json"
    path.write_text(json.dumps(data | {"candidates": data["candidates"] * 2}))
    with pytest.raises(UsageError, match="not of one model"):
        baselines.read(path)
    path.write_text(json.dumps(baseline))
    with pytest.raises(UsageError, match="none of the cases"):
        baselines.check_cases(baselines.read(path), [("other", "", 5)], path)


@pytest.mark.parametrize("wrong", [
    {"median": float("nan")}, {"values": [1.0, float("nan")]}, {"values": [1.0, -1.0]}, {"values": []},
])  # fmt: skip
def test_figures_that_make_no_sense_are_no_baseline(tmp_path, baseline, wrong):
    data = json.loads(json.dumps(baseline))
    data["candidates"][0]["load"] |= wrong
    path = tmp_path / "base.json"
    path.write_text(json.dumps(data))

    with pytest.raises(UsageError, match="'load' makes no sense"):
        baselines.read(path)


def test_a_baseline_of_another_model_or_engine_is_pointed_out(echo_model, baseline, tmp_path):
    data = json.loads(json.dumps(baseline))
    data["candidates"][0] |= {"name": "other", "engine_version": "0.1"}
    path = tmp_path / "base.json"
    path.write_text(json.dumps(data))
    done = run("--model", echo_model, *SHORT, "--baseline", path)

    assert done.exit_code == 0, done.output
    assert "The baseline is of another model: other" in done.output
    assert "The baseline is of another engine: " in done.output


def test_the_recorded_command_can_be_run_again(echo_model, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/pajamas", "benchmark", "--report", "sp eed"])
    done = run("--model", echo_model, "--prompt", "Hi", "--num-tokens", "4", "--repeat", "1", "--json")
    assert done.exit_code == 0, done.exception

    assert json.loads(done.stdout)["command"] == "pajamas benchmark --report 'sp eed'"


def test_the_other_program_has_it_too(echo_model):
    done = run("--model", echo_model, "--repeat", "1", "--num-tokens", "4", group=main.run)

    assert done.exit_code == 0, done.output
    assert "What is 2+2?" in done.output and "Explain quantum physics" in done.output
    assert "one run only" in done.output and "the noise is not known" in done.output


def test_it_prints_a_table_and_whether_runs_agree(report):
    _, text = report

    assert re.search(r"case +tokens +first token", text)
    assert text.count("Hi <b>&|: all runs agree") == 2
    assert re.search(r"metric +baseline +pajamas +delta", text)


@pytest.mark.parametrize("arguments", [
    ("--compare", "a", "b", "--model", "c"), ("--context-lengths", "many"), ("--max-regression", "some"),
    ("--concurrency", "1,,2"),
])  # fmt: skip
def test_wrong_options_are_usage_errors(arguments):
    assert run(*arguments).exit_code == 2


def test_two_models_are_compared_metric_by_metric(report):
    folder, _ = report
    result = json.loads((folder / "report.json").read_text())

    assert [candidate["name"] for candidate in result["candidates"]] == ["model (A)", "model (B)"]
    assert result["baseline"] == "model (A)"
    assert [change["metric"] for change in result["changes"]][:2] == ["load", "peak-memory"]
    assert len(result["changes"]) == 2 + 3 * 6


def test_the_markdown_has_the_four_columns_and_obeys_no_text(report):
    folder, _ = report
    text = (folder / "report.md").read_text()

    assert "| metric | baseline | pajamas | delta |" in text
    assert "| Generation, tokens/s (Hi \\<b\\>&\\|) |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {5, 11}


class Checker(HTMLParser):
    """Tags that open and close as they should, and what would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded, self.tags, self.texts = [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in {"meta", "br", "img", "link", "input", "hr"}:
            self.open.append(tag)
        names = {"src", "href", "xlink:href", "data", "action"}
        self.loaded += [value for name, value in attrs if name in names and not value.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_holds_everything_and_loads_nothing(report):
    folder, _ = report
    checker = Checker()
    checker.feed((folder / "index.html").read_text())
    text = "".join(checker.texts)

    assert checker.open == [] and checker.loaded == []
    assert not checker.tags & {"script", "b"}
    assert {"svg", "table"} <= checker.tags
    for shown in (
        "model (B) against model (A)",
        "Hi <b>&|",
        "tokens of context",
        "ms since the one before",
        "all runs agree",
    ):
        assert shown in text


def test_the_report_can_be_read_again_and_gives_the_same_page(report):
    import cattrs

    folder, _ = report
    result = cattrs.structure(json.loads((folder / "report.json").read_text()), BenchmarkResult)

    assert page.render(result) == (folder / "index.html").read_text()
    assert markdown.render(result) == (folder / "report.md").read_text()


def test_a_folder_that_cannot_be_written_is_named(echo_model, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--model", echo_model, *SHORT, "--report", tmp_path / "file" / "report")

    assert isinstance(done.exception, UsageError) and "cannot be written" in done.exception.what
