"""Perplexity against llama.cpp's own tool.

The oracle's figures are llama-perplexity's, from llama.cpp 0c1e57098 (the tree in llama-cpp-python 0.3.36), over the
bundled model's evaluation text as plain text:
    llama-perplexity -m tiny-SCHEME.gguf -f tiny.txt -c 512
"""

from __future__ import annotations

import numpy as np
import pytest

import pajamas
from pajamas_validate import perplexity
from pajamas_validate.measuring import measure
from pajamas_validate.windows import cut, tokenize

ORACLE = {
    "f16": (31.8744, 2.15364),
    "q8_0": (31.9326, 2.15579),
    "q4_k_m": (32.5494, 2.19745),
    "q2_k": (43.4427, 2.79817),
}


@pytest.mark.parametrize("scheme", ORACLE)
def test_perplexity_is_llama_perplexitys(scheme, tiny_gguf, tiny_text):
    with pajamas.Runtime(tiny_gguf(scheme), context_length=512) as model:
        windows = cut(tokenize(model.session, tiny_text))
        scores = measure(model.session, None, windows)
    found = perplexity.perplexity(scores.logprobs)

    value, error = ORACLE[scheme]
    assert windows.count == 22
    assert found.value == pytest.approx(value, rel=1e-4)
    assert found.error == pytest.approx(error, rel=1e-4)


def test_perplexity_and_its_error_follow_their_formulas():
    logprobs = np.log(np.array([[0.5, 0.25], [0.125, 0.5]], np.float32))

    found = perplexity.perplexity(logprobs)

    bits = np.array([1, 2, 3, 1]) * np.log(2)
    assert found.value == pytest.approx(2 ** (7 / 4), rel=1e-6)
    assert found.error == pytest.approx(2 ** (7 / 4) * np.sqrt((np.mean(bits**2) - np.mean(bits) ** 2) / 3), rel=1e-6)
    assert found.window_error == pytest.approx(2 ** (7 / 4) * np.std([1.5, 2]) * np.log(2), rel=1e-6)


def test_a_ratio_has_the_paired_error():
    original = np.log(np.array([[0.5, 0.01], [0.9, 0.001]], np.float32))

    found = perplexity.ratio(original - np.float32(0.1), original)

    assert found.value == pytest.approx(np.exp(0.1), rel=1e-5)
    assert found.error == pytest.approx(0, abs=1e-6)


def test_a_token_without_probability_makes_perplexity_infinite():
    assert perplexity.perplexity(np.array([[-1, -np.inf]], np.float32)).value == np.inf
