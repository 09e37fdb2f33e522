"""The kit's rules about answers, threads, scores, files and features: each is broken by exactly one fault of echo's."""

from __future__ import annotations

import pytest

from echo_faults import GENERATING, SCORING, THREADS, source
from echo_option_faults import FEATURES, QUANTIZING
from pajamas.features import Feature
from pajamas.testing.conformance import TESTS
from pajamas.testing.features import EXERCISED

CASES = [
    pytest.param(group, *fault, id=name)
    for group, faults in (
        (("Generating",), GENERATING),
        (("Scoring",), SCORING),
        (("Threads",), THREADS),
        (("Quantizing",), QUANTIZING),
        (("Features", "Undeclared"), FEATURES),
    )
    for name, fault in ((name, (fault[:-2], *fault[-2:])) for name, fault in faults.items())
]


@pytest.mark.parametrize(("groups", "changes", "test", "words"), CASES)
def test_one_fault_breaks_one_rule(check, groups, changes, test, words):
    """A test that ends in "*" is not alone: the fault shows in other rules as well."""
    run = check(source(*changes), tests=groups)

    alone, test = not test.endswith("*"), test.removesuffix("*")
    assert test in run.failed, {name: text[-400:] for name, text in run.failed.items()}
    assert list(run.failed) == [test] or not alone
    assert any(word in run.failed[test] for word in words.split("|"))


def test_without_a_fault_all_rules_hold(check):
    run = check(source(), tests=("Generating", "Threads", "Scoring", "Quantizing", "Features", "Undeclared"))

    assert (run.failed, run.refused) == ({}, "")
    assert len(run.passed) >= 35


def test_every_feature_is_exercised_by_a_rule():
    assert set(EXERCISED) == set(Feature)
    assert set(EXERCISED.values()) <= set(TESTS)
