"""Behaviour suites on real sessions: what a quantized model says beside the original."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import asdict, evolve

from pajamas.operations.loading import open_selection, select
from pajamas.types import Finding, Sampling
from pajamas_tiny.hooks import MODEL
from pajamas_validate.behaviour import first_divergence, run_suite, similarity
from pajamas_validate.samples import behaviour_of, of_behaviour
from pajamas_validate.suite import Suite, suite_of


@pytest.fixture(scope="module")
def sessions(tiny_ladder):
    opened = {name: open_selection(select(path)) for name, path in tiny_ladder.items()}
    yield opened
    for session in opened.values():
        session.close()


class Changed:
    """A session that differs from another in what is given."""

    def __init__(self, session, **values):
        self._session = session
        self.__dict__.update(values)

    def __getattr__(self, name):
        return getattr(self._session, name)


def cases(*ids):
    suite = suite_of(MODEL)
    return evolve(suite, cases=tuple(case for case in suite.cases if case.id in ids))


def test_a_model_beside_itself_matches_in_everything(sessions):
    behaviour = run_suite(sessions["f16"], sessions["f16"], suite_of(MODEL))

    assert len(behaviour.ran) == len(suite_of(MODEL).cases)
    assert [finding.value for finding in of_behaviour(behaviour)] == [100.0, 100.0, 100.0]
    recorded = json.loads(json.dumps(asdict(of_behaviour(behaviour)[-1])))
    assert behaviour_of(Finding(**recorded)) == behaviour
    assert behaviour.regressions == ()
    by_id = {sample.id: sample for sample in behaviour.samples}
    assert by_id["tool"].quantized.tool_calls == ('get_weather({"city": "Paris"})',)
    assert by_id["sum-thinking"].quantized.reasoning
    assert by_id["sum"].quantized.text == "2 + 2 = 4."


def test_a_badly_quantized_model_is_told_from_the_original(sessions):
    behaviour = run_suite(sessions["q2_k"], sessions["f16"], suite_of(MODEL))

    assert behaviour.matches < len(behaviour.ran)
    assert behaviour.similarity < 0.95
    apart = [sample for sample in behaviour.samples if not sample.match]
    for sample in apart:
        at = sample.first_divergence
        assert sample.quantized.token_ids[:at] == sample.baseline.token_ids[:at]
        assert sample.quantized.token_ids[at : at + 1] != sample.baseline.token_ids[at : at + 1]
    assert behaviour.regressions  # at 2 bits it fails where the original does not


def test_alone_a_model_is_judged_by_its_faults(sessions):
    behaviour = run_suite(sessions["f16"], None, cases("sum", "json"))

    assert [(finding.metric, finding.value) for finding in of_behaviour(behaviour)] == [("samples", 100.0)]
    assert all(sample.match is None and sample.baseline is None for sample in behaviour.samples)


def test_what_a_backend_cannot_do_is_not_run_and_says_why(sessions):
    poor = Changed(sessions["f16"], features=frozenset())

    behaviour = run_suite(poor, sessions["f16"], cases("sum", "json"))

    by_id = {sample.id: sample for sample in behaviour.samples}
    assert "json-schema" in by_id["json"].not_run
    assert by_id["json"].quantized is None
    assert by_id["sum"].match


def test_prompts_are_asked_greedily_whatever_the_model_recommends(sessions):
    eager = Changed(sessions["f16"], default_sampling=Sampling(temperature=2.0, top_k=100))

    first, second = (run_suite(eager, None, cases("story")).samples[0].quantized for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("left", "right", "index", "ratio"),
    [
        ((1, 2, 3), (1, 2, 3), None, 1.0),
        ((1, 2), (1, 2, 3), 2, 0.8),
        ((1, 9, 3), (1, 2, 3), 1, 2 / 3),
        ((), (), None, 1.0),
    ],
)
def test_divergence_and_similarity(left, right, index, ratio):
    assert first_divergence(left, right) == index
    assert similarity(left, right) == pytest.approx(ratio)


def test_a_suite_of_a_users_own(sessions, tmp_path):
    path = Path(tmp_path) / "suite.toml"
    path.write_text(
        'name = "mine"\n[[cases]]\nid = "x"\nprompt = "What is 3+3?"\nmode = "non-thinking"\nexpect = "7"\n'
    )

    behaviour = run_suite(sessions["f16"], None, suite_of(tmp_path))

    assert isinstance(suite_of(tmp_path), Suite)
    assert "expected" in behaviour.samples[0].quantized.faults[0]
