"""The sampler against llama.cpp's own chain, and its shortcuts against sorting."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from pajamas.errors import EngineError, UsageError
from pajamas.types import Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.sampler import Sampler
from pajamas_gguf.session.shortlist import shortlist

VOCABULARY = 5000


class LlamaChain:
    """llama.cpp's samplers one after the other over the whole vocabulary, as its tools set them up."""

    def __init__(self, sampling, prompt):
        self.lib = lib = engine.library()
        self.chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        bias = (lib.llama_logit_bias * len(sampling.logit_bias))(*sampling.logit_bias.items())
        parts = [
            lib.llama_sampler_init_logit_bias(VOCABULARY, len(bias), bias),
            lib.llama_sampler_init_penalties(
                VOCABULARY,
                64,
                sampling.repetition_penalty or 1.0,
                sampling.frequency_penalty or 0.0,
                sampling.presence_penalty or 0.0,
            ),
            lib.llama_sampler_init_top_k(sampling.top_k or 0),
            lib.llama_sampler_init_typical(1.0 if sampling.typical_p is None else sampling.typical_p, 1),
            lib.llama_sampler_init_top_p(1.0 if sampling.top_p is None else sampling.top_p, 1),
            lib.llama_sampler_init_min_p(sampling.min_p or 0.0, 1),
            lib.llama_sampler_init_temp(1.0 if sampling.temperature is None else sampling.temperature),
            lib.llama_sampler_init_dist(sampling.seed),
        ]
        for part in parts:
            lib.llama_sampler_chain_add(self.chain, part)
        for token in prompt:
            lib.llama_sampler_accept(self.chain, token)

    def sample(self, logits):
        data = (self.lib.llama_token_data * VOCABULARY)(*((i, float(x), 0.0) for i, x in enumerate(logits)))
        array = self.lib.llama_token_data_array(data=data, size=VOCABULARY, selected=-1, sorted=False)
        self.lib.llama_sampler_apply(self.chain, ctypes.byref(array))
        token = array.data[array.selected].id
        self.lib.llama_sampler_accept(self.chain, token)
        return token

    def close(self):
        self.lib.llama_sampler_free(self.chain)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.6, "top_k": 20, "top_p": 0.95},
        {"temperature": 0.7, "top_p": 0.8},
        {"temperature": 1.3, "min_p": 0.05},
        {"temperature": 0.9, "typical_p": 0.7},
        {"temperature": 0.8, "top_k": 40, "typical_p": 0.9, "top_p": 0.9, "min_p": 0.02},
        {"top_k": 300, "repetition_penalty": 1.3, "presence_penalty": 0.7, "frequency_penalty": 0.4},
        {"top_k": 5, "logit_bias": {3: 4.5, 17: -float("inf"), 99: -2.0}, "frequency_penalty": -0.5},
    ],
    ids=str,
)
def test_it_draws_what_llama_cpp_draws(options):
    prompt = [3, 17, 17, 99, 4000] * 20
    sampling = Sampling(seed=42, **options)
    reference, sampler = LlamaChain(sampling, prompt), Sampler(sampling, VOCABULARY, prompt=prompt)
    rng = np.random.default_rng(0)
    rows = (4 * rng.standard_normal((60, VOCABULARY))).astype(np.float32)
    rows[:, [3, 17, 99, 4000]] += 12  # the tokens that bias and penalties are about have a chance

    wanted = [reference.sample(row) for row in rows]
    drawn = [sampler.sample(row.copy()) for row in rows]

    assert drawn == wanted
    assert len(set(drawn)) > 2
    reference.close()


def test_temperature_zero_takes_the_most_likely_token_after_bias_and_penalties():
    logits = np.zeros(VOCABULARY, np.float32)
    logits[[10, 20, 30]] = 9, 8, 7

    def first(**options):
        return Sampler(Sampling(temperature=0, **options), VOCABULARY, prompt=[10]).sample(logits.copy())

    assert first() == 10
    assert first(typical_p=0.1, top_k=5) == 10
    assert first(logit_bias={10: -float("inf")}) == 20
    assert first(repetition_penalty=2.0) == 20
    assert first(logit_bias={30: 5}) == 30


def test_penalties_forget_what_left_the_window():
    sampling = Sampling(temperature=0, presence_penalty=5.0)
    sampler = Sampler(sampling, VOCABULARY, prompt=[10])
    logits = np.zeros(VOCABULARY, np.float32)
    logits[10] = 3
    rest = np.zeros(VOCABULARY, np.float32)
    rest[20] = 100

    assert sampler.sample(logits.copy()) != 10
    for _ in range(64):
        sampler.sample(rest.copy())
    assert sampler.sample(logits.copy()) == 10


def test_values_that_are_no_numbers_are_an_error():
    for options in ({"temperature": 0}, {"top_k": 20}, {"top_p": 0.5}):
        for value in (np.nan, np.inf):
            logits = np.zeros(VOCABULARY, np.float32)
            logits[77] = value
            with pytest.raises(EngineError, match="numbers"):
                Sampler(Sampling(**options), VOCABULARY, prompt=[1]).sample(logits)


def test_a_bias_that_forbids_everything_is_an_error():
    bias = dict.fromkeys(range(VOCABULARY), -float("inf"))
    with pytest.raises(EngineError, match="No token"):
        Sampler(Sampling(logit_bias=bias), VOCABULARY, prompt=[1]).sample(np.zeros(VOCABULARY, np.float32))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 1.1},
        {"min_p": -1},
        {"typical_p": 2},
        {"repetition_penalty": 0},
        {"logit_bias": {VOCABULARY: 1.0}},
        {"logit_bias": {1: float("inf")}},
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        Sampler(Sampling(**options), VOCABULARY, prompt=[1])


@pytest.mark.parametrize("size", [1, 7, 33, 4096, 151_936])
@pytest.mark.parametrize("count", [1, 2, 40, 1000, 200_000])
def test_a_shortlist_holds_the_largest(size, count):
    rng = np.random.default_rng(size + count)
    for logits in (rng.standard_normal(size), np.round(rng.standard_normal(size)), np.zeros(size)):
        logits = logits.astype(np.float32)
        ids = shortlist(logits, count)

        assert (np.diff(ids) > 0).all()
        least = np.sort(logits)[-min(count, size)]
        assert set(np.flatnonzero(logits >= least)) <= set(ids)


def test_a_shortlist_is_short():
    logits = np.random.default_rng(1).standard_normal(151_936).astype(np.float32)

    assert 40 <= len(shortlist(logits, 40)) < 80
