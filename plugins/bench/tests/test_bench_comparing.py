"""What is called better, worse and equal, and what is a regression."""

from __future__ import annotations

import numpy as np
import pytest

from pajamas_bench.comparing import change, status
from pajamas_bench.figures import figure
from pajamas_bench.printing import delta_text

STEADY = (1.0, 1.01, 0.99, 1.0, 1.0)
WILD = (1.0, 3.0, 0.5, 2.0, 0.8)


def times(values, factor=1.0):
    return tuple(factor * value for value in values)


def compared(metric, old, new, *, paired=False, limit=None):
    return change("case", figure(metric, old), figure(metric, new), paired=paired, limit=limit)


@pytest.mark.parametrize(("metric", "factor", "verdict"), [
    ("total", 1.3, "worse"), ("total", 0.7, "better"), ("generation-speed", 1.3, "better"),
    ("generation-speed", 0.7, "worse"), ("peak-memory", 1.3, "worse"), ("prompt-speed", 0.7, "worse"),
])  # fmt: skip
def test_which_way_is_better_depends_on_the_metric(metric, factor, verdict):
    found = compared(metric, STEADY, times(STEADY, factor))

    assert found.verdict == verdict
    assert found.delta == pytest.approx(100 * (factor - 1))


@pytest.mark.parametrize("factor", [1.3, 0.7, 1.0])
def test_a_difference_inside_the_noise_is_equal(factor):
    assert compared("total", WILD, times(WILD, factor)).verdict == "equal"


def test_by_turns_smaller_differences_are_seen():
    slower = times(WILD, 1.05)

    assert compared("total", WILD, slower).verdict == "equal"
    assert compared("total", WILD, slower, paired=True).verdict == "worse"


def test_one_run_cannot_tell():
    found = compared("total", (1.0,), (2.0,), limit=20)

    assert found.verdict == "unknown" and found.noise is None
    assert found.regression


@pytest.mark.parametrize(("metric", "factor", "limit", "expected"), [
    ("total", 1.3, 20, "fail"), ("total", 1.3, 40, "pass"), ("total", 0.7, 20, "pass"),
    ("generation-speed", 0.7, 20, "fail"), ("generation-speed", 0.7, 40, "pass"), ("generation-speed", 1.3, 20, "pass"),
])  # fmt: skip
def test_a_regression_is_worse_by_more_than_was_allowed(metric, factor, limit, expected):
    assert status([compared(metric, STEADY, times(STEADY, factor), limit=limit)]) == expected


def test_a_regression_inside_the_noise_is_unresolved():
    unsure = compared("total", WILD, times(WILD, 1.3), limit=20)
    sure = compared("total", STEADY, times(STEADY, 1.3), limit=20)

    assert unsure.verdict == "unresolved" and not unsure.regression
    assert status([unsure]) == "unresolved"
    assert status([unsure, sure]) == "fail"
    assert status([]) == "pass"


@pytest.mark.parametrize("paired", [True, False])
def test_a_model_is_seldom_faster_than_itself(paired):
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        runs = np.exp(random.normal(0.0, 0.1, (14, 2, 5)))
        found = [
            change(None, figure("total", tuple(old)), figure("total", tuple(new)), paired=paired, together=14)
            for old, new in runs
        ]
        wrong += any(one.verdict != "equal" for one in found)

    assert wrong / 300 < 0.08


def test_one_wild_run_does_not_make_the_others_a_difference():
    # The medians are 10 % apart, and no mean that allows for the spread is.
    found = compared("total", (1.0, 1.0, 1.0, 9.0, 1.0), (1.1, 1.1, 1.1, 1.1, 1.1), paired=True)

    assert found.verdict == "equal"


@pytest.mark.parametrize("paired", [True, False])
def test_the_delta_is_that_of_the_two_figures(paired):
    found = compared("latency-99", (1.0, 1.0, 8.0), (2.0, 1.0, 2.0), paired=paired)

    assert (found.baseline, found.measured) == (pytest.approx(2.0), pytest.approx(4 ** (1 / 3)))
    assert found.delta == pytest.approx(100 * (found.measured / found.baseline - 1))


@pytest.mark.parametrize(("old", "new", "text"), [
    ((1.0, 1.0, 0.1), (2.0, 10.0, 1.0), "±>99%, unresolved"),
    ((1.0, 1.0), (2.0, 2.0), "+100.0 % ±0%, worse, REGRESSION"),
    ((1.0,), (2.0,), "+100.0 %, noise unknown, REGRESSION"), ((2.0, 10.0, 1.0), (1.0, 1.0, 0.1), "−82.9 % ±99%, equal"),
])  # fmt: skip
def test_a_figure_has_one_verdict_and_no_cap_is_printed_as_its_noise(old, new, text):
    assert delta_text(compared("total", old, new, limit=20)).endswith(text)
