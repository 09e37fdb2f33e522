"""Statistics of runs, held against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pajamas_bench.statistics import geometric_mean, median, noise, paired_noise, percentile, student, unpaired_noise


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_percentiles_are_numpys(share, count):
    values = list(np.random.default_rng(count).exponential(size=count))

    assert percentile(values, share) == pytest.approx(np.quantile(values, share))


def test_the_median_is_in_the_middle():
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_noise_is_students_interval_of_the_logarithms():
    # Logarithms 0, 1, 2: standard deviation 1, error 1/sqrt(3), and t(2) = 4.30265.
    values = [1.0, math.e, math.e**2]

    assert noise(values) == pytest.approx(math.expm1(4.302652730 / math.sqrt(3)))
    assert noise([5.0, 5.0]) == 0.0


def test_noise_does_not_depend_on_the_unit():
    values = [1.2, 1.3, 1.1, 1.25]

    assert noise([1000 * value for value in values]) == pytest.approx(noise(values))
    assert noise([1 / value for value in values]) == pytest.approx(noise(values))


def test_the_interval_covers_what_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        values = np.exp(random.normal(0.0, 0.1, 5))
        width = math.log1p(noise(list(values)))
        covered += abs(np.log(values).mean()) <= width

    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_what_disturbs_both_sides_alike_cancels_in_pairs():
    drift = [1.0, 1.5, 2.0, 3.0]
    slower = [1.1 * value for value in drift]

    assert paired_noise(drift, slower) == pytest.approx(0.0, abs=1e-9)
    assert unpaired_noise(drift, slower) > 1


def test_two_variances_add_up_where_nothing_is_paired():
    # Both have logarithms 0, 1, 2: error sqrt(1/3 + 1/3), two degrees of freedom.
    values = [1.0, math.e, math.e**2]

    assert unpaired_noise(values, values) == pytest.approx(math.expm1(4.302652730 * math.sqrt(2 / 3)))


@pytest.mark.parametrize("values", [[1.0], [], [0.0, 1.0]])
def test_one_run_or_no_time_at_all_has_no_noise(values):
    assert noise(values) is None
    assert paired_noise(values, values) is None
    assert unpaired_noise(values, [1.0, 2.0]) is None
    assert unpaired_noise([1.0, 2.0], values) is None


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042)])
def test_student_s_quantiles_are_those_of_any_table(freedom, quantile):
    assert student(freedom) == pytest.approx(quantile, abs=5e-4)
    # 99 %, two-sided, for four degrees of freedom.
    assert student(4, together=5) == pytest.approx(4.604, abs=5e-4)


def test_the_ratio_of_geometric_means_is_what_the_interval_is_about():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        old, new = (list(np.exp(random.normal(0.0, 0.2, 5))) for _ in range(2))
        covered += abs(math.log(geometric_mean(new) / geometric_mean(old))) <= math.log1p(paired_noise(old, new))

    assert covered / 1000 == pytest.approx(0.95, abs=0.02)
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert geometric_mean([0.0, 1.0]) is None
