"""The report's page: everything is in it, hostile texts stay texts, and it asks the network for nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pajamas.types import Artifact, Finding, ReportJob, TensorInfo
from pajamas_validate.behaviour import Answer, Behaviour, Sample
from pajamas_validate.printing import with_lines
from pajamas_validate.report import plots
from pajamas_validate.report.folder import write_report
from pajamas_validate.report.page import Page, marked, render, sample_rows, type_rows
from pajamas_validate.scores import Scores

SAMPLE = {
    "model": "Q", "tokens_sha256": "0", "text": "a text", "text_sha256": "1", "windows": 1, "available_windows": 1,
    "context": 512, "tokens": 255, "seconds": 1.0,
}  # fmt: skip
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Tags that open and close as they should, and what would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        names = {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}
        self.loaded += [value for name, value in attrs if name in names and not value.startswith("#")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def checked(html):
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert checker.loaded == []
    assert "script" not in re.findall(r"<(\w+)", html)
    return "".join(checker.texts)


@pytest.fixture
def scores():
    random = np.random.default_rng(0)
    original = -random.exponential(2.0, (8, 255)).astype(np.float32)
    return Scores(
        logprobs=original - 0.1,
        original_logprobs=original,
        divergence=random.lognormal(-4, 1, (8, 255)).astype(np.float32),
        same_top=original > -1,
    )


def sample(id="a", text="x = 4.", baseline="x = 3.", **fields):
    quantized = Answer(text=text, token_ids=(1, 2), faults=fields.pop("faults", ()))
    return Sample(
        id=id, prompt=f"prompt {id}", mode=None, quantized=quantized, baseline=Answer(text=baseline, token_ids=(1, 3)),
        match=text == baseline, first_divergence=None if text == baseline else 1, similarity=0.5, **fields,
    )  # fmt: skip


def test_the_page_shows_everything_and_loads_nothing(scores):
    tensors = tuple(TensorInfo(name=f"blk.{n}.w", shape=(256, 256), type="Q4_K", size=36_864) for n in range(3))
    page = Page(
        title="tiny, Q4_K_M", subtitle="against BF16", status="PASS (< 5 %)", status_kind="pass",
        reasons=("it is near",), figures=(("Increase", "4.0 % ± 0.3"),),
        plots=((plots.divergence(scores), "tokens"), (plots.loss_by_position(scores), "positions"),
               (plots.perplexity_by_window(scores), "windows")),
        samples=sample_rows(Behaviour(suite="s", samples=(sample(),))), types=type_rows(tensors), tensors=tensors,
        provenance=(("source", "Qwen/Qwen3-8B"),), footer="made here",
    )  # fmt: skip

    text = checked(render(page))

    for shown in (
        "tiny, Q4_K_M", "against BF16", "PASS (< 5 %)", "it is near", "4.0 % ± 0.3", "positions", "prompt a",
        "blk.2.w", "256 × 256", "110,592", "Qwen/Qwen3-8B", "made here", "KL divergence of a token",
    ):  # fmt: skip
        assert shown in text


def test_hostile_texts_stay_texts():
    evil = "<script>alert(1)</script><img src=x onerror=y>\"'&"
    page = Page(
        title=evil, subtitle=evil, status=evil, status_kind="fail", reasons=(evil,), figures=((evil, evil),),
        samples=sample_rows(Behaviour(suite=evil, samples=(sample(text=evil, faults=(evil,)),))),
        provenance=((evil, evil),), footer=evil,
    )  # fmt: skip

    assert checked(render(page)).count("<script>alert(1)</script>") >= 8


def test_without_an_original_the_plots_that_need_one_are_left_out(scores):
    alone = Scores(logprobs=scores.logprobs)

    assert plots.divergence(alone) is None
    assert "original" not in plots.loss_by_position(alone)
    assert "Perplexity of each window" in plots.perplexity_by_window(alone)


def test_impossible_tokens_and_equal_models_can_be_plotted(scores):
    logprobs = scores.logprobs.copy()
    logprobs[0, 0] = -np.inf
    zero = np.zeros_like(scores.divergence)

    for one in (
        Scores(logprobs=logprobs, original_logprobs=scores.original_logprobs, divergence=zero, same_top=zero == 0),
        Scores(logprobs=logprobs[:1, :1], original_logprobs=logprobs[:1, :1], divergence=zero[:1, :1] + np.inf),
    ):
        assert plots.loss_by_position(one).startswith("<svg")
        assert plots.perplexity_by_window(one).startswith("<svg")
        assert (plots.divergence(one) is None) == bool(np.isinf(one.divergence).all())


def test_the_same_figures_give_the_same_plot(scores):
    assert plots.divergence(scores) == plots.divergence(scores)


def test_differences_are_marked_word_by_word():
    left, right = marked("x is 3 here", "x is 14 here")

    assert left == [("", "x is "), ("del", "3"), ("", " here")]
    assert right == [("", "x is "), ("ins", "14"), ("", " here")]


def test_what_went_wrong_comes_first_and_is_open():
    same = sample("same", text="x = 3.")
    apart = sample("apart")
    worse = sample("worse", faults=("It does not end.",))

    rows = sample_rows(Behaviour(suite="s", samples=(same, apart, worse)))

    assert [(row["prompt"], row["open"]) for row in rows] == [
        ("prompt worse", True), ("prompt apart", True), ("prompt same", False),
    ]  # fmt: skip


def test_an_infinite_perplexity_is_written_as_json(tmp_path):
    infinite = Finding(metric="perplexity", value=np.inf, error=np.nan, details={"loss_by_window": [np.inf], **SAMPLE})
    job = ReportJob(
        folder=tmp_path, findings=tuple(with_lines([infinite])), artifact=Artifact(path=tmp_path / "x", format="gguf")
    )

    assert "Perplexity (Q)" in checked(write_report(job).read_text())

    found = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)["findings"][0]
    assert (found["value"], found["error"], found["details"]["loss_by_window"]) == (None, None, [None])
