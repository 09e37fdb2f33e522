"""What a session inherits: defaults, and refusals of what it does not declare."""

from __future__ import annotations

import math

import pytest

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.session import BaseSession
from pajamas.types import Feature, GenerateRequest, Sampling


class Bare(BaseSession):
    backend = "bare"
    features = frozenset({Feature.SEED})
    closed = False

    def close(self):
        self.closed = True


ASKED = {
    Feature.TOP_K: {"sampling": Sampling(top_k=1)},
    Feature.MIN_P: {"sampling": Sampling(min_p=0.0)},
    Feature.TYPICAL_P: {"sampling": Sampling(typical_p=0.5)},
    Feature.REPETITION_PENALTY: {"sampling": Sampling(repetition_penalty=1.0)},
    Feature.PRESENCE_PENALTY: {"sampling": Sampling(presence_penalty=0.0)},
    Feature.FREQUENCY_PENALTY: {"sampling": Sampling(frequency_penalty=0.1)},
    Feature.LOGIT_BIAS: {"sampling": Sampling(logit_bias={1: -math.inf})},
    Feature.IGNORE_EOS: {"ignore_eos": True},
    Feature.LOGPROBS: {"logprobs": 0},
    Feature.JSON_SCHEMA: {"json_schema": {}},
    Feature.GRAMMAR: {"grammar": ""},
    Feature.EXACT: {"exact": True},
    Feature.TOOLS: {"tools": ({},)},
    Feature.THINKING: {"mode": "thinking"},
}


@pytest.mark.parametrize("feature", ASKED)
def test_a_feature_that_is_not_declared_is_refused_by_name(feature):
    with pytest.raises(UnsupportedFeature, match=f"'bare' does not support {feature}"):
        Bare().refuse_unsupported(GenerateRequest(prompt="?", **ASKED[feature]))


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(UnsupportedFeature, match="logprobs, top-k"):
        Bare().refuse_unsupported(GenerateRequest(prompt="?", logprobs=1, sampling=Sampling(top_k=3, seed=5)))


def test_what_is_declared_or_needs_no_feature_passes():
    sampling = Sampling(seed=1, temperature=0.5, top_p=0.9)

    Bare().refuse_unsupported(GenerateRequest(token_ids=(1,), sampling=sampling, max_tokens=1, stop=("x",)))


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest(),
        GenerateRequest(prompt="?", token_ids=(1,)),
        GenerateRequest(prompt="?", messages=({"role": "user", "content": "?"},)),
    ],
)
def test_a_request_that_is_not_rendered_is_refused(request_):
    with pytest.raises(UsageError, match="rendered"):
        Bare().refuse_unsupported(request_)


def test_optional_methods_refuse(tmp_path):
    session = Bare()
    for method, arguments in (
        ("score", [[1]]), ("embed", [["a"]]), ("save_prompt_cache", [tmp_path]), ("load_prompt_cache", [tmp_path]),
    ):  # fmt: skip
        with pytest.raises(UnsupportedFeature, match="'bare' does not support"):
            getattr(session, method)(*arguments)


def test_defaults_and_the_end_of_a_with_block():
    with Bare() as session:
        assert (session.chat_template, session.memory.total, dict(session.special_tokens)) == (None, 0, {})
        assert session.default_sampling == Sampling()
    assert session.closed
