"""A candidate with another chat template or vocabulary is not the original's: it fails, and says where."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pajamas
from pajamas.errors import UsageError

TINY = Path(__file__).parents[2] / "tiny/src/pajamas_tiny/model"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "mine"))


def judged(folder, **request):
    made = pajamas.run("convert", model=folder, output=folder.parent / "out", precision="bf16")
    request = {"metrics": "perplexity,kld", "options": {"windows": 2}} | request
    return pajamas.run("validate", quantized=made.gguf_path, original="tiny", **request)


@pytest.mark.parametrize("metrics", ["perplexity,kld", "samples"])
def test_a_template_that_differs_in_later_turns_only_is_found(folder, metrics):
    template = folder / "chat_template.jinja"
    changed = template.read_text().replace("message.role == 'assistant'", "message.role == 'assistent'")
    assert changed != template.read_text()
    template.write_text(changed)

    result = judged(folder, metrics=metrics, options={})

    assert result.finding("verdict").details["line"] == "FAIL (the chat templates differ)"
    assert "several turns" in result.finding("chat-template").details["sentence"]
    assert result.finding("samples") is None


def test_a_template_that_says_the_same_in_other_words_is_the_same(folder):
    template = folder / "chat_template.jinja"
    template.write_text("{# a comment #}" + template.read_text())

    assert judged(folder).finding("chat-template") is None


@pytest.mark.parametrize("metrics", ["perplexity", "samples"])
def test_a_vocabulary_that_differs_where_the_text_does_not_reach_is_found(folder, metrics):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    rare = sorted((token for token in vocabulary if len(token) == 1), key=ord)[-2:]  # control characters
    vocabulary[rare[0]], vocabulary[rare[1]] = vocabulary[rare[1]], vocabulary[rare[0]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    result = judged(folder, metrics=metrics, options={})

    assert result.finding("verdict").details["line"] == "FAIL (the tokenizers differ)"
    assert "the original has" in result.finding("tokenization").details["sentence"]


@pytest.mark.parametrize(
    ("request_", "flag"),
    [
        ({"metrics": "samples", "options": {"windows": 3}}, "--windows"),
        ({"metrics": "samples", "options": {"save_reference": "x"}}, "--save-reference"),
        ({"metrics": "samples", "text": "Hello.", "options": {}}, "--text"),
        ({"metrics": "perplexity", "options": {"max_divergence": 0.1}}, "--max-kld"),
        ({"metrics": "kld", "options": {"max_increase": 5.0}}, "--threshold"),
        ({"metrics": "perplexity,kld", "options": {"suite": "everyday"}}, "--suite"),
    ],
    ids=str,
)
def test_options_that_nothing_here_has_a_use_for_are_refused(folder, request_, flag):
    with pytest.raises(UsageError, match=f"{flag} has no effect"):
        judged(folder, **request_)


def test_a_case_that_cannot_run_does_not_take_the_others_along(folder, tmp_path):
    suite = tmp_path / "suite.toml"
    long = "word " * 20_000
    suite.write_text(
        'name = "mine"\n'
        f'[[cases]]\nid = "long"\nprompt = "{long}"\n'
        '[[cases]]\nid = "sum"\nprompt = "What is 2+2?"\nmode = "non-thinking"\n'
    )

    finding = judged(folder, metrics="samples", options={"suite": str(suite)}).finding("samples")

    samples = {sample["id"]: sample for sample in finding.details["samples"]}
    assert "context" in samples["long"]["not_run"]
    assert samples["sum"]["match"] is True


def test_a_language_that_nobody_can_tell_is_refused(folder, tmp_path):
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "mine"\n[[cases]]\nid = "a"\nprompt = "b"\nlanguage = "xx"\n')

    with pytest.raises(UsageError, match="language 'xx'"):
        judged(folder, metrics="samples", options={"suite": str(suite)})
