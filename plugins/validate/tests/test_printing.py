"""The lines that a person reads."""

from __future__ import annotations

import shutil
from pathlib import Path

from pajamas.cli.output import say_field
from pajamas.types import Artifact, Finding
from pajamas.validation import Measured
from pajamas_validate.findings import failed
from pajamas_validate.likelihood import label_of
from pajamas_validate.printing import with_lines


def test_metrics_of_other_plugins_are_shown_before_the_verdict(tmp_path):
    words = Finding(metric="words", value=12.5, error=0.25, unit="a line")
    found = (words, Finding(metric="rhymes", value=3), *with_lines([failed("it does not rhyme")]))

    assert Measured(findings=found, artifact=Artifact(path=tmp_path, format="gguf")).lines == (
        ("words:", "12.5 ± 0.25 a line"), ("rhymes:", "3"), ("Status:", "FAIL (it does not rhyme)"),
    )  # fmt: skip


def test_a_figure_without_its_companion_is_shown_by_itself():
    (alone,) = with_lines([Finding(metric="samples-match", value=50.0, unit="%")])

    assert alone.shown == (("samples-match:", "50 %"),)


def test_a_model_is_called_by_its_receipts_scheme(tmp_path, tiny_gguf):
    made = tiny_gguf("q4_k_m")
    manifest = (made.parents[1] / "manifest.json").read_text(encoding="utf-8")
    (tmp_path / "manifest.json").write_text(manifest.replace('"Q4_K_M"', '"mixed_3_4"'), encoding="utf-8")
    (tmp_path / "gguf").mkdir()
    path = Path(shutil.copyfile(made, tmp_path / "gguf" / made.name))

    assert label_of(None, Artifact(path=path, format="gguf")) == "mixed_3_4"


def test_a_failure_says_what_to_try_next():
    details = {"status": "fail", "line": "FAIL (> 5 %)", "judgements": [], "next_recipe": "6bit"}

    (shown,) = with_lines([Finding(metric="verdict", value=0.0, details=details)])
    assert ("Next:", "--precision 6bit, which takes more bits") in shown.shown


def test_a_label_that_is_wide_is_followed_by_a_space(capsys):
    say_field("Perplexity (mixed_3_4):", "186.56", width=23)

    assert capsys.readouterr().out == "Perplexity (mixed_3_4): 186.56\n"
