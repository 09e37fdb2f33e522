"""Pass, fail and unresolved, with the number of windows that would resolve it."""

from __future__ import annotations

import math

import pytest
from attrs import evolve

from pajamas.errors import Unresolved, UsageError, ValidationFailed
from pajamas.profiles import PROFILES
from pajamas_validate.estimate import Estimate
from pajamas_validate.statistics import Comparison
from pajamas_validate.verdict import Thresholds, judge

BALANCED = Thresholds.of(PROFILES["balanced"])
NOTHING = Estimate(value=0, error=0, window_error=0)


def compared(increase, error, divergence=0.03, divergence_error=0.001):
    return Comparison(
        perplexity=NOTHING,
        increase=Estimate(value=increase, error=error, window_error=0),
        divergence=Estimate(value=divergence, error=divergence_error, window_error=0),
        sampling_error=None,
        quantiles={},
        same_top=NOTHING,
        change=NOTHING,
        change_rms=NOTHING,
    )


def test_thresholds_are_those_of_the_profile_and_each_can_be_set():
    assert [Thresholds.of(PROFILES[name]).increase for name in ("balanced", "ultra", "hq")] == [5, 12, 2]
    assert [Thresholds.of(PROFILES[name]).divergence for name in ("balanced", "ultra", "hq")] == [0.10, 0.25, 0.02]
    assert Thresholds.of(PROFILES["hq"], increase=3) == Thresholds(increase=3, divergence=0.02)
    assert Thresholds.of(None, divergence=0.5) == Thresholds(increase=None, divergence=0.5)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_threshold_that_makes_no_sense_is_refused(value):
    with pytest.raises(UsageError):
        Thresholds.of(None, increase=value)


@pytest.mark.parametrize(
    ("comparison", "status", "line"),
    [
        (compared(4.0, 0.3), "pass", "PASS (< 5 %, KLD < 0.1)"),
        (compared(-3.0, 0.3), "pass", "PASS (< 5 %, KLD < 0.1)"),
        (compared(7.0, 0.3), "fail", "FAIL (> 5 %)"),
        (compared(4.0, 0.3, divergence=0.2), "fail", "FAIL (KLD > 0.1)"),
        (compared(4.0, 3.0, divergence=0.2), "fail", "FAIL (KLD > 0.1)"),
        (compared(4.0, 0.3, divergence=float("inf"), divergence_error=float("inf")), "fail", "FAIL (KLD > 0.1)"),
    ],
)
def test_both_figures_decide(comparison, status, line):
    verdict = judge(comparison, BALANCED, 20)

    assert verdict.status == status
    assert verdict.line == line


def test_what_the_sample_cannot_resolve_is_never_a_pass_and_says_how_many_windows_would_do():
    verdict = judge(compared(4.0, 1.0), BALANCED, 20)

    # 1.96 errors are 1.96 per cent and the threshold is 1 away: 1.96^2 times as many windows, 76.8.
    assert verdict.status == "unresolved"
    assert verdict.more_windows == 57
    assert verdict.line == "unresolved: use 57 more windows"
    assert isinstance(verdict.error, Unresolved)
    assert judge(compared(4.0, 1.0 * (20 / 77) ** 0.5), BALANCED, 77).status == "pass"


def test_a_value_on_its_threshold_is_resolved_by_no_number_of_windows():
    verdict = judge(compared(5.0, 0.5), BALANCED, 20)

    assert verdict.status == "unresolved"
    assert verdict.more_windows is None
    assert "too close" in verdict.line


def test_one_window_never_decides():
    verdict = judge(compared(1.0, 0.1), BALANCED, 1)

    assert verdict.status == "unresolved"
    assert verdict.line == "unresolved: use more windows: one does not tell how much they differ"


@pytest.mark.parametrize("windows", [2, 3, 8, 22])
def test_as_many_windows_as_it_says_would_resolve_it_and_one_less_would_not(windows):
    estimate = Estimate(value=4.0, error=0.2, window_error=1.5)
    verdict = judge(evolve(compared(4.0, 0.2), increase=estimate), BALANCED, windows, {"perplexity"})
    total = windows + verdict.more_windows

    assert verdict.status == "unresolved"
    assert estimate.scaled(math.sqrt(windows / total)).margin(total) < 1.0
    assert estimate.scaled(math.sqrt(windows / (total - 1))).margin(total - 1) >= 1.0


def test_a_text_that_is_too_short_to_tell_is_said_to_be():
    verdict = judge(compared(4.9, 0.3), BALANCED, 22, available=22)

    assert judge(compared(4.9, 0.3), BALANCED, 20, available=22).line == "unresolved: use all 22 windows of the text"
    assert verdict.line.startswith("unresolved: use a longer text: about ")
    assert verdict.line.endswith("windows are needed, and this one has 22")


def test_windows_that_differ_much_weigh_more_than_many_tokens():
    one = compared(4.0, 0.1)
    other = evolve(one, increase=Estimate(value=4.0, error=0.1, window_error=1.0))

    assert judge(one, BALANCED, 20).status == "pass"
    assert judge(other, BALANCED, 20).status == "unresolved"


def test_without_a_threshold_or_an_original_nothing_is_judged():
    assert judge(compared(50, 1), Thresholds(), 20).line == "measured, not judged (no threshold)"
    assert judge(None, BALANCED, 20).status == "measured"
    assert judge(None, BALANCED, 20).error is None


def test_perplexity_decides_alone_where_the_divergence_was_not_asked_for():
    comparison = compared(4.0, 0.3, divergence=0.5)

    assert judge(comparison, BALANCED, 20, {"perplexity"}).line == "PASS (< 5 %)"


def test_a_failure_says_by_how_much():
    error = judge(compared(7.0, 0.3), BALANCED, 20).error

    assert isinstance(error, ValidationFailed)
    assert error.exit_code == 5
    assert error.why == "Perplexity increase: 7 ± 0.59 % (95 %) is above 5 %."


def test_large_figures_are_written_out():
    (judgement, _) = judge(compared(1234.0, 8.0), BALANCED, 20).judgements

    assert judgement.sentence.startswith("Perplexity increase: 1234 ± 16 % (95 %)")


@pytest.mark.parametrize(("windows", "factor"), [(3, 4.30), (5, 2.776), (10, 2.262), (30, 2.045), (1000, 1.962)])
def test_the_margin_follows_students_t(windows, factor):
    found = Estimate(value=1, error=0, window_error=1).margin(windows)

    assert found == pytest.approx(factor, rel=0.15 if windows == 3 else 0.02)
