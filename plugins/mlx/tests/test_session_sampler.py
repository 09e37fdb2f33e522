"""From logits to a token: each option does what it says, on a distribution that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pajamas.errors import EngineError, UsageError
from pajamas.types import Sampling
from pajamas_mlx.session.penalties import WINDOW
from pajamas_mlx.session.sampler import Sampler, ranked

PROBABILITIES = np.array([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = np.log(PROBABILITIES).astype(np.float32) + 3


def drawn(count=2000, *, logits=LOGITS, prompt=(), forbidden=(), **options):
    """How often each token is drawn."""
    sampler = Sampler(Sampling(**{"seed": 1} | options), len(logits), prompt=list(prompt), forbidden=forbidden)
    found = [sampler.sample(logits.copy()) for _ in range(count)]
    return np.bincount(found, minlength=len(logits)) / count


def test_without_options_tokens_come_as_often_as_they_are_likely():
    assert drawn(8000) == pytest.approx(PROBABILITIES, abs=0.02)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"temperature": 0.0}, {1}),
        ({"temperature": 0.0, "top_k": 3, "top_p": 0.1}, {1}),
        ({"top_k": 1}, {1}),
        ({"top_k": 3}, {1, 3, 4}),
        ({"top_k": 0}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.0}, {1}),
        ({"top_p": 0.69}, {1, 3}),
        ({"top_p": 0.71}, {1, 3, 4}),
        ({"top_k": 3, "top_p": 0.5}, {1, 3}),  # 0.4 of what top-k leaves is 0.47
        ({"min_p": 1.0}, {1}),
        ({"min_p": 0.3}, {1, 3, 4}),
        ({"temperature": 9.0, "min_p": 0.3}, {1, 3, 4}),  # before the temperature
        ({"logit_bias": {1: -math.inf}}, {0, 2, 3, 4}),
        ({"logit_bias": {0: 50.0}}, {0}),
        ({"forbidden": (1, 3)}, {0, 2, 4}),
    ],
)
def test_an_option_leaves_out_what_it_says(options, kept):
    assert set(np.flatnonzero(drawn(**options))) == kept


def test_a_temperature_bends_the_distribution():
    bent = PROBABILITIES**2 / (PROBABILITIES**2).sum()

    assert drawn(8000, temperature=0.5) == pytest.approx(bent, abs=0.02)


def test_top_p_of_a_large_vocabulary_is_exact():
    logits = np.random.default_rng(0).normal(0, 0.01, 5000).astype(np.float32)  # nearly even: no short list holds it
    order = np.argsort(-logits, kind="stable")
    sums = np.cumsum(np.exp(logits[order].astype(np.float64)))
    kept = order[: np.searchsorted(sums / sums[-1], 0.5) + 1]

    assert set(np.flatnonzero(drawn(3000, logits=logits, top_p=0.5))) <= set(kept)


def test_penalties_count_the_window():
    def first(prompt, **options):
        sampler = Sampler(Sampling(temperature=0.0, **options), len(LOGITS), prompt=prompt)
        return sampler.sample(LOGITS.copy())

    assert first([1], repetition_penalty=1.5) == 3
    assert first([1], presence_penalty=0.3) == 3
    assert first([1], frequency_penalty=0.2) == 1
    assert first([1, 1], frequency_penalty=0.2) == 3
    assert first([1] + [0] * WINDOW, presence_penalty=0.3) == 1


def test_penalties_count_what_was_said():
    sampler = Sampler(Sampling(temperature=0.0, presence_penalty=0.4), len(LOGITS), prompt=[])

    assert [sampler.sample(LOGITS.copy()) for _ in range(3)] == [1, 3, 1]


def test_a_seed_repeats_and_none_does_not():
    def answer(seed):
        sampler = Sampler(Sampling(seed=seed), len(LOGITS), prompt=[])
        return [sampler.sample(LOGITS.copy()) for _ in range(60)]

    assert answer(7) == answer(7) != answer(8)
    assert answer(None) != answer(None)
    assert answer(-1) == answer(2**64 - 1)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0}, {"temperature": math.nan}, {"top_k": -1}, {"top_p": 1.1}, {"min_p": -0.1},
        {"repetition_penalty": 0.0}, {"presence_penalty": math.inf}, {"logit_bias": {5: 1.0}},
        {"logit_bias": {-1: 1.0}}, {"logit_bias": {0: math.nan}}, {"logit_bias": {0: math.inf}},
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        Sampler(Sampling(**options), 5, prompt=[])


def test_logits_that_are_no_numbers_are_an_error():
    for strange in (math.nan, math.inf):
        with pytest.raises(EngineError, match="not numbers"):
            drawn(1, logits=np.array([0.0, strange], np.float32))
    with pytest.raises(EngineError, match="No token is allowed"):
        drawn(1, logit_bias=dict.fromkeys(range(5), -math.inf))


def test_ranks_are_stable():
    values = np.array([1.0, 3.0, 2.0, 3.0, 2.0], np.float32)

    assert [list(ranked(values, count)) for count in (1, 3, 5, 9)] == [[1], [1, 3, 2], [1, 3, 2, 4, 0], [1, 3, 2, 4, 0]]
