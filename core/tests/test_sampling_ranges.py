"""Sampling options that make no sense are refused by name."""

from __future__ import annotations

import math

import pytest

from pajamas.errors import UsageError
from pajamas.sampling_ranges import check_ranges
from pajamas.types import Sampling


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"temperature": -0.1}, "temperature -0.1"),
        ({"temperature": math.inf}, "temperature inf"),
        ({"temperature": math.nan}, "temperature nan"),
        ({"top_k": -1}, "top-k -1"),
        ({"top_p": 1.1}, "top-p 1.1"),
        ({"min_p": -1.0}, "min-p -1.0"),
        ({"typical_p": 2.0}, "typical-p 2.0"),
        ({"repetition_penalty": 0.0}, "repetition penalty 0.0"),
        ({"presence_penalty": 1e9}, "presence penalty 1000000000.0"),
        ({"frequency_penalty": -math.inf}, "frequency penalty -inf"),
        ({"logit_bias": {10: 1.0}}, "token 10"),
        ({"logit_bias": {-1: 1.0}}, "token -1"),
        ({"logit_bias": {3: math.inf}}, "bias inf for token 3"),
        ({"logit_bias": {3: math.nan}}, "bias nan for token 3"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields, named):
    with pytest.raises(UsageError) as caught:
        check_ranges(Sampling(**fields), 10)
    assert named in caught.value.what and caught.value.why.endswith(".")


def test_the_ends_of_the_ranges_are_allowed():
    check_ranges(Sampling(), 10)
    check_ranges(Sampling(temperature=0, top_k=0, top_p=0.0, min_p=1.0, typical_p=1.0), 10)
    check_ranges(Sampling(repetition_penalty=1e-6, presence_penalty=-1e6, logit_bias={0: -math.inf, 9: 5.0}), 10)
