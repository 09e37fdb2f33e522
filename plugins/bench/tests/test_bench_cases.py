"""Which cases a benchmark has, and what is refused before anything is loaded."""

from __future__ import annotations

import pytest

import pajamas
from pajamas.errors import UsageError
from pajamas_bench import baseline
from pajamas_bench.cases import plan


def test_by_default_two_prompts_are_asked():
    assert [(case.prompt, case.answer_tokens) for case in plan()] == [
        ("What is 2+2?", 50), ("Explain quantum physics", 200),
    ]  # fmt: skip


def test_contexts_hold_prompt_and_answer_together():
    (case,) = plan(contexts=[2048])

    assert (case.context, case.answer_tokens, case.prompt, case.name) == (2048, 500, None, "context 2,048")


def test_cases_of_other_prompts_are_others_though_their_names_are_the_same():
    one, other = (plan(prompt="the same beginning " * 3 + end, concurrency=[2]) for end in "ab")

    assert [case.name for case in one] == [case.name for case in other]
    assert not {case.key for case in one} & {case.key for case in other}
    assert [case.key for case in plan(contexts=[2048])] == [case.key for case in plan(contexts=[2048])]


def test_everything_that_is_asked_for_is_measured():
    cases = plan(prompt="Hello", num_tokens=20, contexts=[64], concurrency=[1, 4])

    assert [case.name for case in cases] == ["Hello", "context 64", "1 at once", "4 at once"]
    assert {case.answer_tokens for case in cases} == {20}
    assert [case.prompt for case in cases if case.concurrency] == ["Hello", "Hello"]
    assert [case.prompt for case in plan(concurrency=[2])] == ["Explain quantum physics"]


@pytest.mark.parametrize(("options", "named"), [
    ({"num_tokens": 1}, "1 tokens"), ({"contexts": [500]}, "500 tokens"), ({"contexts": [0]}, "context length of 0"),
    ({"concurrency": [0]}, "concurrency of 0"), ({"concurrency": [2, 2]}, "named twice"),
    ({"prompt": " "}, "prompt is empty"),
])  # fmt: skip
def test_numbers_that_make_no_sense_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        plan(**options)


@pytest.mark.parametrize(("options", "named"), [
    ({"repeat": 0}, "0 times"), ({"max_regression": 20.0}, "needs a baseline"),
    ({"baseline": "x.json", "compare_with": "m"}, "two baselines"), ({"baseline": "missing.json"}, "missing.json"),
    ({"compare_with": "m", "max_regression": -1.0}, "-1.0"), ({"embeddings": True}, "generates"),
    ({"num_token": 3}, "num_token"), ({"threads": "two"}, "threads"),
])  # fmt: skip
def test_options_that_make_no_sense_are_named(echo_model, options, named):
    with pytest.raises(UsageError, match=named):
        pajamas.run("benchmark", model=echo_model, **options)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', '{"schema": 99}', "[" * 100_000, "\x00"])
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text):
    path = tmp_path / "base.json"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"base\.json"):
        baseline.read(path)
