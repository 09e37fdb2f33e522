"""An interrupted run goes on where it was; one of other files, or from a damaged state, begins anew."""

from __future__ import annotations

import os

import numpy as np
import pytest

import pajamas
from pajamas.progress import NO_PROGRESS
from pajamas_validate import scores
from pajamas_validate.scores import Scores


class Interruption:
    """Progress that counts windows, and stands for a Ctrl-C after the `last` of them."""

    def __init__(self, last=None):
        self.last, self.windows = last, 0

    def stage(self, title, total, unit):
        return self if unit == "windows" else NO_PROGRESS.stage(title, total, unit)

    def advance(self, amount, note=""):
        self.windows += amount
        if self.windows == self.last:
            raise KeyboardInterrupt

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def validate(path, last=None, **request):
    progress = Interruption(last)
    request = {"metrics": "perplexity", "alone": True, "context_length": 512, "progress": progress, **request}
    result = pajamas.run("validate", quantized=path, **request)
    return progress.windows, result


@pytest.fixture
def states(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/pajamas/validations"


def interrupt(path, last=5, **request):
    with pytest.raises(KeyboardInterrupt):
        validate(path, last, **request)


def test_an_interrupted_run_goes_on_and_ends_with_the_same_figures(tiny_gguf, states):
    path = tiny_gguf("q4_k_m")
    request = {"alone": False, "original": tiny_gguf("f16"), "metrics": "perplexity,kld", "options": {"windows": 7}}
    whole, expected = validate(path, **request)

    interrupt(path, **request)
    left = list(states.iterdir())
    windows, result = validate(path, **request)

    assert len(left) == 1
    assert (whole, windows) == (7, 2)
    assert result.finding("kld") == expected.finding("kld")
    assert result.finding("perplexity").value == expected.finding("perplexity").value
    assert not list(states.iterdir())


def test_a_run_over_fewer_windows_takes_what_is_there_and_leaves_it_for_one_over_more(tiny_gguf, states):
    interrupt(tiny_gguf("q8_0"))

    assert validate(tiny_gguf("q8_0"), options={"windows": 3})[0] == 0
    assert validate(tiny_gguf("q8_0"), options={"windows": 6})[0] == 1


def test_other_files_texts_and_windows_begin_anew(tiny_gguf, states, tiny_text):
    path = tiny_gguf("q8_0")
    interrupt(path, 2)
    three = {"windows": 3}

    assert validate(path, options=three | {"resume": False})[0] == 3
    assert validate(path, options=three | {"context": 256})[0] == 3
    assert validate(path, text="\n" + tiny_text, options=three)[0] == 3
    assert validate(path, alone=False, original=path, options=three)[0] == 3
    assert validate(tiny_gguf("q4_k_m"), options=three)[0] == 3
    os.utime(path, ns=(1, 1))
    assert validate(path, options=three)[0] == 3


def test_a_run_against_a_reference_goes_on_with_the_right_window_of_it(tiny_gguf, states, tmp_path):
    validate(tiny_gguf("f16"), options={"windows": 4, "save_reference": tmp_path / "saved"})
    request = {"metrics": "perplexity,kld", "options": {"windows": 4, "reference": tmp_path / "saved"}}
    whole, expected = validate(tiny_gguf("q4_k_m"), **request)

    interrupt(tiny_gguf("q4_k_m"), 2, **request)
    windows, result = validate(tiny_gguf("q4_k_m"), **request)

    assert (whole, windows) == (4, 2)
    assert result.finding("kld") == expected.finding("kld")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 1000, b"PK\x03\x04 but no archive"])
def test_a_damaged_state_is_not_used(tiny_gguf, states, damage):
    interrupt(tiny_gguf("q8_0"))
    (state,) = states.iterdir()
    state.write_bytes(damage)

    assert validate(tiny_gguf("q8_0"), options={"windows": 6})[0] == 6


def test_a_state_that_is_cut_short_is_not_used(tiny_gguf, states):
    interrupt(tiny_gguf("q8_0"))
    (state,) = states.iterdir()
    state.write_bytes(state.read_bytes()[:-100])

    assert validate(tiny_gguf("q8_0"), options={"windows": 6})[0] == 6


def test_a_cache_that_cannot_be_written_stops_nothing(tiny_gguf, states, caplog):
    states.parent.mkdir(parents=True)
    states.write_text("a file where the folder should be")

    interrupt(tiny_gguf("q8_0"))

    assert "could not be gone on with" in caplog.text


def test_scores_are_kept_for_a_report_where_they_are_asked_for(tiny_gguf, tmp_path, states):
    path = tmp_path / scores.SCORES
    _, result = validate(tiny_gguf("q8_0"), options={"windows": 2}, report=tmp_path)

    kept = scores.read(path, result.finding("perplexity").details["tokens_sha256"])

    assert kept.logprobs.shape == (2, 255)
    assert np.exp(-kept.logprobs.astype(np.float64).mean()) == pytest.approx(result.finding("perplexity").value)
    assert scores.read(path, "another") is None


def test_scores_of_wrong_shapes_are_not_read(tmp_path):
    path = tmp_path / "scores.npz"
    scores.write(path, Scores(logprobs=np.zeros(3, np.float32)))
    assert scores.read(path) is None
    scores.write(path, Scores(logprobs=np.zeros((2, 3), np.float64)))
    assert scores.read(path) is None
    scores.write(path, Scores(logprobs=np.zeros((2, 3), np.float32)))
    assert scores.read(path).logprobs.shape == (2, 3)
