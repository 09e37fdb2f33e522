"""What is wrong with the options is said before a model is loaded: the candidate here is none, and nobody notices."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import pajamas
from pajamas.errors import ModelFileError, PajamasError, UsageError
from pajamas_validate.command import command


@pytest.fixture
def candidate(tmp_path):
    path = tmp_path / "no-model.gguf"
    path.write_bytes(b"GGUF, but not really")
    return path


def refusal(candidate, *arguments):
    outcome = CliRunner().invoke(command, ["-q", str(candidate), *map(str, arguments)])
    assert isinstance(outcome.exception, PajamasError), outcome.output
    return f"{outcome.exception.what} {outcome.exception.why}"


def test_without_a_wrong_option_the_candidate_is_what_is_refused(candidate, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a text")

    outcome = CliRunner().invoke(
        command, ["-q", str(candidate), "--text", str(text), "--report", str(tmp_path / "a/b")]
    )

    assert isinstance(outcome.exception, ModelFileError)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "c4"], "no dataset 'c4'"),
        (["--text", "missing.txt"], "missing.txt cannot be read"),
        (["--text", "binary"], "binary cannot be read"),
        (["--text", "text", "--dataset", "wikitext2"], "contradict"),
        (["--text", "text", "--ctx", "2"], "2 tokens makes no sense"),
        (["--text", "text", "--windows", "0"], "0 windows make no sense"),
        (["--text", "text", "--profile", "best"], "no profile 'best'"),
        (["--text", "text", "--suite", "missing.toml"], "missing.toml cannot be read"),
        (["--text", "text", "--suite", "weekend"], "no suite 'weekend'"),
        (["--text", "text", "--suite", "text.toml"], "text.toml is not TOML"),
        (["--text", "text", "--reference", "missing.ref"], "missing.ref cannot be read"),
        (["--text", "text", "--reference", "text"], "text is not a reference"),
        (["--text", "text", "--reference", "text", "--original", "o"], "contradict"),
        (["--text", "text", "--save-reference", "nowhere/file"], "Nothing can be written to nowhere"),
        (["--text", "text", "--report", "text/report"], "text is no folder"),
        (["--metrics", "beauty"], "no metric 'beauty'"),
    ],
)
def test_a_wrong_option_is_named(candidate, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("a text")
    (tmp_path / "text.toml").write_text("= [")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01" * 20)

    assert said in refusal(candidate, *arguments)


def test_the_library_refuses_before_it_loads_too(candidate):
    with pytest.raises(UsageError, match="no profile 'best'"):
        pajamas.run("validate", quantized=candidate, alone=True, text="a text", options={"profile": "best"})


def test_a_conversion_that_is_to_be_measured_is_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="0 windows make no sense"):
        pajamas.run(
            "convert",
            model="tiny",
            output=tmp_path / "out",
            precision="q8_0",
            validate=True,
            validation={"options": {"windows": 0}},
        )

    assert not (tmp_path / "out").exists()


def test_the_text_that_is_taken_where_none_is_named_is_fetched_first(candidate, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert "wikitext-2-raw-v1.zip is not in the cache" in refusal(candidate)
    assert "GGUF" in refusal(candidate, "--metrics", "samples")
