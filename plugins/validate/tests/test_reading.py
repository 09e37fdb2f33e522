"""The first windows are scored while the text is read, and count only where the whole text begins with their tokens."""

from __future__ import annotations

import numpy as np
import pytest

import pajamas
from pajamas.types import Feature
from pajamas_validate import reading
from pajamas_validate.measuring import score_windows
from pajamas_validate.windows import cut, tokenize

_CONTEXT = 64


@pytest.fixture(scope="module")
def models(tiny_gguf):
    with (
        pajamas.Runtime(tiny_gguf("q4_k_m"), context_length=512) as candidate,
        pajamas.Runtime(tiny_gguf("f16"), context_length=512) as original,
    ):
        yield candidate.session, original.session


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Texts of tests are short: they count as long, and their beginning has some windows."""
    monkeypatch.setattr(reading, "_BEGINNING", 2000)
    monkeypatch.setattr(reading, "_LONG", 0)


class Reader:
    """A session that reads some texts otherwise; scoring is the real one's."""

    def __init__(self, session, read):
        self._session, self._read = session, read

    def __getattr__(self, name):
        return getattr(self._session, name)

    def tokenize(self, text, **options):
        return self._read(self._session.tokenize(text, **options), text)


def begin(candidate, original, text, limit=None):
    """What was read and scored, and how many windows were scored at all."""
    scored = []

    def score(windows, is_enough):
        del is_enough  # the tests' models are slow and their texts short
        scored.extend(score_windows(candidate, original, windows))
        return list(scored)

    found, done = reading.read_and_score(candidate, original, text, _CONTEXT, limit, score)
    return found, done, len(scored)


def test_what_is_scored_meanwhile_is_what_would_be_scored_later(models, tiny_text):
    candidate, original = models
    text = tiny_text[:6000]

    found, done, scored = begin(candidate, original, text)

    whole = tokenize(candidate, text)
    later = score_windows(candidate, original, cut(whole, _CONTEXT, scored))
    assert found.difference is None
    assert (found.tokens.ids == whole.ids).all()
    assert len(done) == scored > 2
    for early, late in zip(done, later, strict=True):
        assert (early.logprobs == late.logprobs).all()
        assert (early.divergence == late.divergence).all()
    assert begin(candidate, None, text, limit=2)[2] == 2


def test_windows_of_a_beginning_that_the_whole_text_does_not_have_are_dropped(models, tiny_text):
    other = Reader(models[0], lambda ids, text: ids if len(text) > 2000 else [ids[0], ids[0], *ids[2:]])

    found, done, scored = begin(other, None, tiny_text[:6000])

    assert np.array_equal(found.tokens.ids, tokenize(models[0], tiny_text[:6000]).ids)
    assert (len(done), scored > 2) == (0, True)


def test_models_that_read_the_beginning_differently_are_not_scored(models, tiny_text):
    other = Reader(models[1], lambda ids, text: ids[:3] + ids if len(text) > 1 else ids)

    found, done, scored = begin(models[0], other, tiny_text[:6000])

    assert found.difference.position < 10
    assert (done, scored) == ([], 0)


def test_a_session_for_one_caller_at_a_time_has_but_one(models, tiny_text):
    class Alone(Reader):
        features = models[0].features - {Feature.PARALLEL}

    found, done, scored = begin(Alone(models[0], lambda ids, _: ids), None, tiny_text[:6000])

    assert len(found.tokens.ids) > 1000
    assert (done, scored) == ([], 0)
