"""What is wrong with an answer, and what is not."""

from __future__ import annotations

import pytest

from pajamas.operations.generation import GenerateResult
from pajamas.types import ToolCall
from pajamas_validate.checks import faults, loop_length
from pajamas_validate.suite import Case

PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
WEATHER = ToolCall(id="1", name="get_weather", arguments='{"city": "Paris"}')


def answer(text="Fine.", **fields):
    return GenerateResult(text=text, **{"finish_reason": "stop", "token_ids": tuple(range(9)), **fields})


def case(**fields):
    return Case(id="a", prompt="?", **fields)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (case(), answer()),
        (case(ends=False), answer(finish_reason="length")),
        (case(mode="thinking"), answer(reasoning="I think.")),
        (case(mode="non-thinking"), answer()),
        (case(expect="(?i)fine"), answer()),
        (case(language="fr"), answer("La capitale de la France est Paris.")),
        (case(language="fr"), answer("Paris")),  # one name tells no language
        (case(language="zh"), answer("我很好，谢谢。你呢？")),
        (case(json_schema=PERSON), answer('{"age": 7}')),
        (case(call="get_weather", arguments="Paris"), answer("", tool_calls=(WEATHER,), finish_reason="tool_calls")),
    ],
)
def test_a_good_answer_has_no_fault(asked, given):
    assert faults(asked, given, ("de", "fr", "zh")) == ()


@pytest.mark.parametrize(
    ("asked", "given", "named"),
    [
        (case(max_tokens=9), answer(finish_reason="length"), "within 9 tokens"),
        (case(), answer(token_ids=(5, 1, 2) + (7, 8) * 12), "2 token"),
        (case(), answer("Fine. </think> So"), "</think>"),
        (case(), answer("<tool_call> {"), "<tool_call>"),
        (case(mode="thinking"), answer(), "no reasoning"),
        (case(mode="thinking"), answer("", reasoning="I think."), "not followed"),
        (case(mode="non-thinking"), answer(reasoning="I think."), "asked not to"),
        (case(expect="Paris"), answer(), "expected"),
        (case(language="fr"), answer("The capital of France is the city of Paris."), "fr and answers in en"),
        (case(json_schema=PERSON), answer("age 7"), "not JSON"),
        (case(json_schema=PERSON), answer('{"age": "7"}'), "does not obey"),
        (case(call="get_weather"), answer(), "does not call"),
        (case(call="get_weather", arguments="Rome"), answer("", tool_calls=(WEATHER,)), "Paris"),
    ],
)
def test_each_fault_is_named(asked, given, named):
    (fault,) = faults(asked, given, ("de", "fr"))

    assert named in fault


@pytest.mark.parametrize(
    ("token_ids", "period"),
    [
        ([1] * 24, 1),
        ([1] * 23, None),
        ([9, 9, 3] + [1, 2, 3, 4, 5, 6, 7] * 4, 7),
        ([1, 2, 3, 4, 5, 6, 7] * 3, None),
        (list(range(500)), None),
        ([token for number in range(200) for token in (11, number)], None),
        ([], None),
    ],
)
def test_a_loop_is_a_piece_that_fills_the_end(token_ids, period):
    assert loop_length(token_ids) == period
