"""Divergence of log-probabilities against the plain formula in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from pajamas.errors import EngineError
from pajamas_validate.divergence import Divergence


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return (logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))).astype(np.float32)


def pair(rows, vocabulary, noise):
    random = np.random.RandomState(rows)
    logits = random.standard_normal((rows, vocabulary)) * 3
    return log_softmax(logits), log_softmax(logits + noise * random.standard_normal(logits.shape))


@pytest.mark.parametrize(("rows", "vocabulary"), [(7, 5), (300, 1000), (3, 151_936)])
@pytest.mark.parametrize("noise", [0.001, 0.1, 3])
def test_divergence_is_the_formula(rows, vocabulary, noise):
    original, candidate = pair(rows, vocabulary, noise)
    before = original.copy(), candidate.copy()

    divergence, same_top = Divergence().compare(original, candidate)

    p, q = original.astype(np.float64), candidate.astype(np.float64)
    assert divergence == pytest.approx((np.exp(p) * (p - q)).sum(axis=1), rel=1e-4, abs=1e-7)
    assert same_top.tolist() == (p.argmax(axis=1) == q.argmax(axis=1)).tolist()
    assert (original == before[0]).all()
    assert (candidate == before[1]).all()


def test_a_distribution_does_not_diverge_from_itself():
    original, _ = pair(5, 1000, 0)

    divergence, same_top = Divergence().compare(original, original.copy())

    assert (divergence == 0).all()
    assert same_top.all()


def test_tokens_that_neither_thinks_possible_do_not_count():
    original = np.array([[np.log(0.5), np.log(0.5), -np.inf]], np.float32)
    candidate = np.array([[np.log(0.25), np.log(0.75), -np.inf]], np.float32)

    divergence, _ = Divergence().compare(original, candidate)

    assert divergence[0] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75))


def test_a_token_that_only_the_candidate_thinks_impossible_diverges_without_end():
    original = np.log(np.array([[0.5, 0.5], [0.5, 0.5]], np.float32))
    candidate = np.array([[0, -np.inf], [np.log(0.5), np.log(0.5)]], np.float32)

    assert Divergence().compare(original, candidate)[0].tolist() == [np.inf, 0]
    assert Divergence().compare(candidate, original)[0][0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("which", [0, 1])
def test_a_value_that_is_no_number_is_an_error(which):
    both = list(pair(3, 10, 0.1))
    both[which] = both[which].copy()
    both[which][1, 4] = np.nan

    with pytest.raises(EngineError, match="not numbers"):
        Divergence().compare(*both)
