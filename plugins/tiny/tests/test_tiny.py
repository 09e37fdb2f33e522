"""The bundled model is whole, and its texts are those that the scripts make."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path

import pytest

from pajamas.architecture import detect_architecture
from pajamas.modelfiles import LocalFiles
from pajamas_tiny.hooks import MODEL, model_aliases

CORPUS = Path(__file__).parents[1] / "tools" / "corpus.py"


def test_the_alias_names_the_model():
    assert model_aliases() == {"tiny": str(MODEL)}


def test_the_model_is_what_its_card_says():
    architecture = detect_architecture(LocalFiles(MODEL))

    assert architecture is not None
    assert (architecture.model_type, architecture.parameters) == ("qwen3", 4_197_120)
    assert (architecture.num_layers, architecture.hidden_size, architecture.vocab_size) == (4, 256, 4096)


@pytest.mark.parametrize(("name", "seed", "count"), [("eval.jsonl", 10001, 300), ("calibration.jsonl", 20002, 600)])
def test_the_texts_are_those_that_the_corpus_draws(name, seed, count):
    conversations = runpy.run_path(str(CORPUS))["conversations"]
    lines = (MODEL / name).read_text(encoding="utf-8").splitlines()

    assert [json.loads(line) for line in lines] == list(itertools.islice(conversations(seed), count))


def test_judging_and_calibrating_share_no_conversation_of_more_than_a_line():
    def long_answers(name):
        lines = (MODEL / name).read_text(encoding="utf-8").splitlines()
        stories = [json.loads(line)["messages"][-1]["content"] for line in lines]
        return {text for text in stories if text.count(". ") >= 3 and "named" in text}

    assert not long_answers("eval.jsonl") & long_answers("calibration.jsonl")
