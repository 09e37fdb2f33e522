"""The report of a real validation, as the command writes it."""

from __future__ import annotations

import json

import pytest

import cliprogram


@pytest.fixture(scope="module")
def report(tiny_ladder, tmp_path_factory):
    """(exit code, what was printed, report.json, the page) of Q2_K judged as if it were of the profile balanced."""
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    options = ["--quantized", tiny_ladder["q2_k"], "--profile", "balanced", "--windows", "6", "--report", folder]
    done = cliprogram.run_here("validate", *options, home=tmp_path_factory.mktemp("home"))
    printed = done.stdout.decode()
    return (
        done.returncode,
        printed,
        json.loads((folder / "report.json").read_text()),
        (folder / "index.html").read_text(),
    )


def test_it_fails_and_says_where_the_report_is(report):
    code, printed, _, _ = report

    assert code == 5
    assert "FAIL" in printed and "Report: " in printed and "index.html" in printed
    assert "Same answers:" in printed and "Sound answers:" in printed


def test_the_record_has_what_programs_look_for(report):
    _, _, record, _ = report

    assert (record["format"], record["scheme"], record["status"]) == ("gguf", "Q2_K", "fail")
    perplexity = record["validation"]["perplexity"]
    assert perplexity["quantized"] > perplexity["baseline"] > 1
    assert perplexity["increase_pct"] == pytest.approx(100 * (perplexity["quantized"] / perplexity["baseline"] - 1))
    assert (perplexity["threshold"], perplexity["pass"]) == (5.0, False)
    assert "6 windows of 512 tokens of eval.jsonl" in record["method"]
    first = {sample["id"]: sample for sample in record["validation"]["samples"]}["sum"]
    assert first["prompt"] == "What is 2+2?"
    assert first["baseline"] == "2 + 2 = 4."
    assert first["match"] == (first["quantized"] == first["baseline"])
    assert {"kld", "same-top-token", "samples", "verdict"} <= {finding["metric"] for finding in record["findings"]}
    assert record["receipt"]["tensor_types"]


def test_the_page_shows_it(report):
    _, _, record, page = report

    for shown in (
        "tiny, Q2_K",
        "FAIL",
        "Mean KL divergence",
        "What is 2+2?",
        "Q2_K",
        record["receipt"]["engine"],
        "<svg",
    ):
        assert shown in page
    assert page.count("<svg") == 3


def test_a_folder_that_cannot_be_written_is_an_error_and_not_a_traceback(tiny_ladder, tmp_path):
    (tmp_path / "file").touch()

    done = cliprogram.run_here(
        "validate", "-q", tiny_ladder["q2_k"], "--metrics", "samples", "--alone", "--report", tmp_path / "file",
        home=tmp_path,
    )  # fmt: skip

    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
