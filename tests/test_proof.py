"""From a conversion to its proof: `convert --validate`, the receipt's figures, and measuring them again."""

from __future__ import annotations

import json
import logging
import re
import shutil

import pytest

import cliprogram
import pajamas
from pajamas.errors import ModelFileError, UsageError


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """Q4_K_M of `tiny`, converted and measured."""
    folder = tmp_path_factory.mktemp("proven")
    return pajamas.run("convert", model="tiny", output=folder, precision="q4_k_m", validate=True)


@pytest.fixture
def copy(proven, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(proven.folder, tmp_path / "copy")


def read(folder):
    return json.loads((folder / "manifest.json").read_text())


def measured_of(folder):
    return read(folder)["artifacts"][0]["validation"]


def rewrite(folder, change):
    manifest = read(folder)
    change(manifest["artifacts"][0]["validation"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


def wrong(result):
    return {check.what: check for check in result.checks if not check.ok}


def test_a_conversion_is_measured_and_recorded_and_written_up(proven):
    assert proven.validation.status == "pass"
    assert 0 < proven.validation.perplexity_increase < 5
    (page,) = proven.validation.reports
    assert page == proven.folder / "report/tiny-q4_k_m/index.html"
    assert "PASS" in page.read_text()
    recorded = measured_of(proven.folder)
    figure = recorded["metrics"]["perplexity"]
    assert figure["value"] == proven.validation.finding("perplexity").value
    assert (figure["details"]["text"], figure["details"]["windows"], len(figure["details"]["text_sha256"])) == (
        "eval.jsonl",
        22,
        64,
    )
    assert recorded["metrics"]["kld"]["details"]["quantiles"]["50"] > 0
    assert recorded["metrics"]["verdict"]["details"]["thresholds"] == {"increase": 5.0, "divergence": 0.1}
    assert (recorded["status"], recorded["metrics"]["perplexity-original"]["details"]["model"]) == ("pass", "BF16")
    assert recorded["engine"].startswith("llama.cpp") and recorded["engine_version"] and recorded["pajamas_version"]
    assert "loss_by_position" not in figure["details"]  # series belong in the report


def test_measuring_again_agrees(proven):
    result = pajamas.run("verify", path=proven.folder, deep=True)

    assert wrong(result) == {}
    assert {"verdict", "sha256 of the text", "measured perplexity", "measured kld"} <= {c.what for c in result.checks}


def test_figures_that_are_not_the_artifacts_are_found(copy):
    def beautify(validation):
        metrics = validation["metrics"]
        metrics["perplexity"]["value"] *= 0.98
        metrics["perplexity"]["details"]["text_sha256"] = "0" * 64
        metrics["kld"].update(value=0.01, error=10.0)
        metrics["same-top-token"].update(value=99.0, error=None)
        metrics["samples-match"]["value"] = 12.5
        metrics["verdict"]["details"]["thresholds"]["increase"] = 50.0
        del metrics["probability-change"]
        validation["status"] = "unresolved"

    rewrite(copy, beautify)

    found = wrong(pajamas.run("verify", path=copy, deep=True))

    assert set(found) == {
        "measured perplexity", "sha256 of the text", "measured kld", "measured same-top-token",
        "measured samples-match", "thresholds", "measured probability-change", "verdict",
    }  # fmt: skip
    assert pajamas.run("verify", path=copy).ok  # which measures nothing


@pytest.mark.parametrize(
    "request_",
    [
        {"colour": "red"}, {"progress": 1}, {"record": True}, {"quantized": "x"}, {"text": 5}, {"options": "a"},
        {"metrics": 5}, {"report": "x"}, {"options": {"save_reference": "x"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_cannot_ask_for_more_than_measuring(copy, request_):
    rewrite(copy, lambda validation: validation["request"].update(request_))

    with pytest.raises(ModelFileError, match="cannot be repeated"):
        pajamas.run("verify", path=copy, deep=True)


def test_a_figure_that_is_no_number_is_an_error(copy):
    rewrite(copy, lambda validation: validation["metrics"]["kld"].update(value="low"))

    with pytest.raises(ModelFileError, match="damaged"):
        pajamas.run("verify", path=copy)


def test_an_artifact_that_was_never_measured_is_not_verified_deeply(tmp_path):
    pajamas.run("convert", model="tiny", output=tmp_path, precision="q8_0")

    with pytest.raises(UsageError, match="never measured"):
        pajamas.run("verify", path=tmp_path, deep=True)

    quick = {"metrics": "perplexity", "options": {"windows": 2}}
    pajamas.run("convert", model="tiny", output=tmp_path / "both", precision="q8_0", validate=True, validation=quick)
    pajamas.run("convert", model="tiny", output=tmp_path / "both", precision="q6_k")
    result = pajamas.run("verify", path=tmp_path / "both", deep=True)
    assert result.ok
    assert any("never measured" in check.what for check in result.checks)


def test_figures_against_the_own_original_are_recorded_however_it_is_named(tmp_path):
    made = pajamas.run("convert", model="tiny", output=tmp_path, precision="q8_0")

    result = pajamas.run(
        "validate", quantized=made.gguf_path, original="tiny", metrics="perplexity", options={"windows": 2}
    )

    assert result.manifest_path == tmp_path / "manifest.json"


def test_a_text_that_is_gone_is_named(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The cat sat on the mat, and the dog lay by the door. " * 120)
    made = pajamas.run(
        "convert", model="tiny", output=tmp_path / "out", precision="q8_0", validate=True,
        validation={"text": text, "metrics": "perplexity", "options": {"windows": 2}},
    )  # fmt: skip
    assert measured_of(made.folder)["request"]["text"] == str(text)
    assert wrong(pajamas.run("verify", path=made.folder, deep=True)) == {}
    text.unlink()

    (check,) = wrong(pajamas.run("verify", path=made.folder, deep=True)).values()

    assert (check.what, check.found) == (f"text {text}", "missing")


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"metrics": "perplexity,kld,samples", "options": {"windows": 3}}, "of 5,610 tokens, and this one is of 765"),
        ({"metrics": "perplexity"}, "that has kld"),
    ],
)
def test_a_quick_look_does_not_replace_a_measurement(copy, caplog, request_, why):
    before = measured_of(copy)

    with caplog.at_level(logging.WARNING):
        result = pajamas.run("validate", quantized=copy / "gguf/tiny-q4_k_m.gguf", **request_)

    assert result.manifest_path is None
    assert measured_of(copy) == before
    assert why in caplog.text


def test_a_receipt_is_not_completed_for_another_file(copy, proven, caplog):
    other = pajamas.run("convert", model="tiny", output=copy.parent / "other", precision="q8_0")
    (copy / "gguf/tiny-q4_k_m.gguf").write_bytes(other.gguf_path.read_bytes())
    before = measured_of(copy)

    with caplog.at_level(logging.WARNING):
        pajamas.run("validate", quantized=copy / "gguf/tiny-q4_k_m.gguf", metrics="perplexity,kld")

    assert measured_of(copy) == before
    assert "not the file that its receipt describes" in caplog.text


def test_nothing_is_recorded_where_that_is_not_wanted_or_the_original_is_another(tmp_path, tiny_ladder):
    made = pajamas.run("convert", model="tiny", output=tmp_path, precision="q8_0")

    for options in ({"record": False}, {"original": tiny_ladder["f16"]}, {"alone": True}):
        result = pajamas.run(
            "validate", quantized=made.gguf_path, metrics="perplexity", options={"windows": 2}, **options
        )
        assert result.manifest_path is None

    assert measured_of(tmp_path) is None


def test_what_cannot_be_measured_is_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="--dry-run"):
        pajamas.run("convert", model="tiny", output=tmp_path / "out", validate=True, dry_run=True)
    with pytest.raises(UsageError, match="cannot be read"):
        validation = {"text": tmp_path / "none.txt"}
        pajamas.run("convert", model="tiny", output=tmp_path / "out", validate=True, validation=validation)

    assert not (tmp_path / "out").exists()


def test_an_artifact_that_cannot_be_measured_is_kept(tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("Too short.")

    result = pajamas.run("convert", model="tiny", output=tmp_path / "out", validate=True, validation={"text": text})

    assert result.gguf_path.is_file()
    assert "too short" in result.validation_failures["gguf"].what
    assert result.validation is None


def test_the_text_that_calibrates_may_not_judge(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"The cat number {n} sat on the mat, and the dog lay by the door." for n in range(600)))

    with pytest.raises(UsageError, match="cannot judge"):
        pajamas.run(
            "convert", model="tiny", output=tmp_path / "out", calibration_text=text, validate=True,
            validation={"text": text},
        )  # fmt: skip

    assert not (tmp_path / "out").exists()


def test_json_of_a_proven_conversion(tmp_path):
    done = cliprogram.run_here(
        "convert", "--model", "tiny", "--precision", "q8_0", "--output", tmp_path / "out", "--validate",
        "--validation-windows", "8", "--threshold", "3", "--max-kld", "0.5", "--json", home=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr.decode()
    measured = json.loads(done.stdout)["validations"]["gguf"]
    verdict = next(finding for finding in measured["findings"] if finding["metric"] == "verdict")
    assert verdict["details"]["thresholds"] == {"increase": 3.0, "divergence": 0.5}


def test_the_program_says_it_and_exits_with_the_verdict(tmp_path):
    options = ["--model", "tiny", "--precision", "q2_k", "--profile", "balanced", "--output", tmp_path, "--validate"]
    done = cliprogram.run_here("convert", *options, "--validation-windows", "8", home=tmp_path)
    printed = done.stdout.decode()

    assert done.returncode == 5, done.stderr.decode()
    assert "FAIL (> 5 %" in printed and "Perplexity (Q2_K):" in printed
    assert str(tmp_path / "report/tiny-q2_k/index.html") in printed

    done = cliprogram.run_here("verify", "--deep", tmp_path, home=tmp_path)

    assert done.returncode == 0, done.stdout.decode()
    assert re.search(rb"ok     measured kld: [0-9.]+, recorded [0-9.]+\n", done.stdout)


def test_options_of_a_validation_that_nobody_asked_for_are_refused(tmp_path):
    done = cliprogram.run_here("convert", "--model", "tiny", "--validation-windows", "8", home=tmp_path)

    assert done.returncode == 2
    assert b"--validate" in done.stderr
