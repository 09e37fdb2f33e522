"""The operation and the command, on the bundled model: original found, figures, verdict, exit codes.

The oracle's divergences are those of llama-perplexity (llama.cpp 0c1e57098), whose file of the original's
log-probabilities is itself off by some 1e-5:
    llama-perplexity -m tiny-f16.gguf -f tiny.txt -c 512 --kl-divergence-base base.kld
    llama-perplexity -m tiny-SCHEME.gguf --kl-divergence-base base.kld --kl-divergence -c 512
"""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import pajamas
from pajamas.errors import UsageError
from pajamas_validate.command import command

ORACLE = {
    "q8_0": {"kld": (0.001287, 0.000034), "99": 0.008950, "same-top-token": 98.610, "probability-change-rms": 1.003},
    "q4_k_m": {"kld": (0.057234, 0.001309), "99": 0.426137, "same-top-token": 90.267, "probability-change-rms": 6.466},
    "q2_k": {"kld": (0.677886, 0.012640), "99": 4.076263, "same-top-token": 68.948, "probability-change-rms": 23.035},
}


def run_command(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], prog_name="validate")


@pytest.fixture(scope="module")
def results(tiny_gguf):
    """Each scheme against the F16 original, over the whole text."""
    schemes = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
    original = tiny_gguf("f16")
    return {
        scheme: pajamas.run("validate", quantized=tiny_gguf(scheme), original=original, metrics="perplexity,kld")
        for scheme in schemes
    }


@pytest.mark.parametrize("scheme", ORACLE)
def test_divergence_is_llama_perplexitys(scheme, results):
    kld = results[scheme].finding("kld")
    value, error = ORACLE[scheme]["kld"]
    assert kld.value == pytest.approx(value, abs=3e-5)
    assert kld.error == pytest.approx(error, rel=0.01)
    assert kld.details["quantiles"]["99"] == pytest.approx(ORACLE[scheme]["99"], rel=0.01)
    for metric in ("same-top-token", "probability-change-rms"):
        assert results[scheme].finding(metric).value == pytest.approx(ORACLE[scheme][metric], abs=0.03)


def test_divergence_orders_the_schemes_where_perplexity_does_not(results):
    divergences = [result.finding("kld").value for result in results.values()]
    increases = [result.perplexity_increase for result in results.values()]
    assert divergences == sorted(divergences)
    assert increases != sorted(increases)


def test_each_profiles_own_scheme_passes(results):
    statuses = {scheme: result.status for scheme, result in results.items()}

    assert statuses == {
        "q8_0": "measured", "q6_k": "pass", "q5_k_m": "measured", "q4_k_m": "pass", "q3_k_m": "pass", "q2_k": "measured"
    }  # fmt: skip


def test_the_original_is_found_by_the_receipt_made_on_the_fly_and_kept(tiny_gguf):
    first = pajamas.run("validate", quantized=tiny_gguf("q4_k_m"), metrics="perplexity,kld", options={"windows": 4})
    made = first.original.path.stat()
    again = pajamas.run(
        "validate", quantized=tiny_gguf("q4_k_m"), original="tiny", metrics="kld", options={"windows": 4}
    )

    assert first.original.path.name.endswith("-bf16.gguf")
    assert first.finding("perplexity").details["text"] == "eval.jsonl"
    assert again.original == first.original
    assert again.original.path.stat().st_mtime_ns == made.st_mtime_ns


def test_the_command_prints_figures_and_a_verdict(tiny_gguf):
    result = run_command(
        "--quantized", tiny_gguf("q4_k_m"), "--original", tiny_gguf("f16"), "--metrics", "perplexity,kld"
    )

    lines = result.stdout.splitlines()
    assert lines[0] == "Perplexity (F16):      31.87 ± 2.15"
    assert lines[1] == "Perplexity (Q4_K_M):   32.55 ± 2.20"
    assert lines[2].startswith("Increase:              2.1 % ± 0.")
    assert lines[3].startswith("Mean KL divergence:    0.057")
    assert "Same top token:        90.3 %" in lines
    assert lines[-1] == "Status:                PASS (< 5 %, KLD < 0.1)"
    assert result.exit_code == 0
    assert "22 windows of 512 tokens, 5,610 tokens scored" in result.stderr


def test_a_failure_exits_with_5_and_says_why(tiny_gguf):
    result = run_command(
        "-q", tiny_gguf("q2_k"), "-o", tiny_gguf("f16"), "--metrics", "perplexity,kld", "--profile", "balanced"
    )

    assert result.exit_code == 5
    assert "Status:                FAIL (> 5 %, KLD > 0.1)" in result.stdout
    assert "is above 0.1." in result.stdout


def test_a_sample_that_is_too_small_exits_with_6_and_says_how_many_windows_would_do(tiny_gguf):
    result = run_command(
        "-q", tiny_gguf("q4_k_m"), "-o", tiny_gguf("f16"), "--metrics", "perplexity,kld", "--windows", 3
    )

    assert result.exit_code == 6
    assert "unresolved: use " in result.stdout


def test_json_of_an_unresolved_verdict_is_json(tiny_gguf):
    arguments = ("-q", tiny_gguf("q4_k_m"), "-o", tiny_gguf("f16"), "--metrics", "perplexity", "--windows", 2, "--json")
    result = run_command(*arguments)

    verdict = json.loads(result.stdout, parse_constant=pytest.fail)["findings"][-1]
    assert (verdict["details"]["status"], verdict["value"]) == ("unresolved", 0.0)
    assert verdict["details"]["more_windows"] > 0


def test_a_scheme_of_no_profile_is_measured_and_not_judged_unless_a_threshold_is_given(tiny_gguf):
    arguments = ("-q", tiny_gguf("q5_k_m"), "-o", tiny_gguf("f16"), "--metrics", "perplexity")
    free, held = run_command(*arguments), run_command(*arguments, "--threshold", 0.1)

    assert (free.exit_code, held.exit_code) == (0, 5)
    assert "measured, not judged" in free.stdout
    assert "FAIL (> 0.1 %)" in held.stdout


def test_json_holds_every_figure(tiny_gguf):
    result = run_command("-q", tiny_gguf("q4_k_m"), "-o", tiny_gguf("f16"), "--metrics", "kld,perplexity", "--json")

    findings = {finding["metric"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["perplexity"]["details"]["windows"] == 22
    assert len(findings["perplexity"]["details"]["loss_by_position"]) == 255
    assert findings["verdict"]["details"]["status"] == "pass"


def test_alone_there_is_a_perplexity_and_no_verdict(tiny_gguf):
    result = run_command("-q", tiny_gguf("q4_k_m"), "--alone", "--metrics", "perplexity")

    assert result.stdout.splitlines()[0] == "Perplexity (Q4_K_M):   32.55 ± 2.20"
    assert "measured, not judged" in result.stdout
    assert result.exit_code == 0


def test_a_text_file_is_read_as_llama_perplexity_reads_it(tiny_gguf, tiny_text, tmp_path):
    (tmp_path / "text.txt").write_bytes((tiny_text + "\n").encode())
    result = pajamas.run(
        "validate", quantized=tiny_gguf("f16"), alone=True, metrics="perplexity", text=tmp_path / "text.txt"
    )

    assert result.finding("perplexity").value == pytest.approx(31.8744, rel=1e-4)
    assert result.finding("perplexity").details["text"] == "text.txt"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"options": {"window": 3}}, "'window'"),
        ({"options": {"windows": "3"}}, "'windows'"),
        ({"options": {"windows": True}}, "'windows'"),
        ({"options": {"profile": "best"}}, "'best'"),
        ({"options": {"max_increase": -1}, "alone": False}, "-1"),
        ({"options": {"dataset": "wiki"}}, "'wiki'"),
        ({"options": {"dataset": "wikitext2"}, "text": "a"}, "contradict"),
        ({"text": "too short"}, "too short"),
        ({"options": {"context": 4096}, "context_length": 512}, "4,096"),
        ({"metrics": "kld"}, "no original"),
        ({"metrics": "perplexity,kld"}, "no original"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tiny_gguf, request_, words):
    with pytest.raises(UsageError, match=words):
        pajamas.run("validate", **{"quantized": tiny_gguf("f16"), "alone": True, "metrics": "perplexity", **request_})
