"""Every interval against an independent implementation or a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics.bootstrap import (
    Resampler,
    Strata,
    bca,
    hierarchical,
    mean_and_error,
    percentile,
    student,
    studentised,
)
from analysis.statistics.cell_means import CellValues
from analysis.statistics.estimates import (
    REAL,
    SHARE,
    Scale,
    effective_wilson,
    fieller,
    interquartile_mean,
    mean_intervals,
    pooled_intervals,
    wilson,
)

VALUES = np.random.default_rng(7).gamma(2, size=(3, 12))


def test_t_equals_scipy():
    low, high = student(VALUES, Strata.single(12), 0.95)
    for row, left, right in zip(VALUES, low, high, strict=True):
        expected = stats.ttest_1samp(row, 0).confidence_interval(0.95)
        assert (left, right) == pytest.approx((expected.low, expected.high))


def test_percentile_and_bca_equal_scipy_up_to_resampling():
    by = Resampler(np.random.default_rng(0), 20_000)
    layout = Strata.single(12)
    draws = layout.resample(by)
    for method, name in ((percentile, "percentile"), (bca, "BCa")):
        low, high = method(VALUES, layout, 0.95, draws)
        for row, left, right in zip(VALUES, low, high, strict=True):
            answer = stats.bootstrap((row,), np.mean, method=name, n_resamples=20_000, rng=np.random.default_rng(1))
            width = answer.confidence_interval.high - answer.confidence_interval.low
            assert left == pytest.approx(answer.confidence_interval.low, abs=0.03 * width)
            assert right == pytest.approx(answer.confidence_interval.high, abs=0.03 * width)


def test_studentised_equals_a_plain_loop():
    layout, rng = Strata.single(8), np.random.default_rng(3)
    values = rng.normal(size=(1, 8))
    draws = layout.resample(Resampler(rng, 999))
    low, high = studentised(values, layout, 0.95, draws)
    roots = []
    for counts in draws.astype(int):
        sample = np.repeat(values[0], counts)
        roots.append((sample.mean() - values.mean()) / (sample.std(ddof=1) / np.sqrt(8)))
    roots, error = np.sort(roots), values.std(ddof=1) / np.sqrt(8)
    assert low[0] == pytest.approx(values.mean() - roots[974] * error)
    assert high[0] == pytest.approx(values.mean() - roots[24] * error)


def test_stratified_error_is_the_sum_of_variances():
    layout = Strata(np.array([0, 0, 0, 1, 1, 1, 1]))
    values = np.arange(7.0)[None, :] ** 1.5
    estimate, error, freedom = mean_and_error(values, layout)
    first, second = values[0, :3], values[0, 3:]
    assert estimate[0] == pytest.approx((first.mean() + second.mean()) / 2)
    welch = stats.ttest_ind(first, -second, equal_var=False)
    assert error[0] == pytest.approx(np.sqrt(first.var(ddof=1) / 3 + second.var(ddof=1) / 4) / 2)
    assert freedom[0] == pytest.approx(welch.df)


def test_wilson_equals_statsmodels():
    for count, n in ((0, 5), (3, 20), (20, 20)):
        low, high = wilson(np.array(count / n), np.array(float(n)), stats.norm.ppf(0.975))
        assert (low, high) == pytest.approx(proportion_confint(count, n, method="wilson"), abs=1e-12)


def test_effective_wilson_of_independent_episodes_is_near_wilson():
    values = np.random.default_rng(0).binomial(20, 0.3, size=(1, 400)) / 20
    low, high = effective_wilson(CellValues.single(values).pivot, 400, 0.95)
    plain = proportion_confint(int(values.sum() * 20), 8000, method="wilson")
    assert (low[0], high[0]) == pytest.approx(plain, abs=0.002)


def test_fieller_equals_the_quadratic_of_t():
    rng = np.random.default_rng(2)
    below = 1 + rng.normal(0, 0.2, 9)
    above = 0.5 * below + rng.normal(0, 0.1, 9)
    found = fieller(above, below, 0.95)
    for end in (found.low, found.high):
        assert stats.ttest_1samp(above - end * below, 0).pvalue == pytest.approx(0.05, abs=1e-9)


def test_fiellers_interval_holds_what_it_must():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        below = rng.normal(0.6, 0.05, size=6)
        above = 0.5 * below + rng.normal(0, 0.05, size=6)
        found = fieller(above, below)
        inside += found.low <= 0.5 <= found.high
    assert inside / 400 == pytest.approx(0.95, abs=0.04)
    assert np.isnan(fieller(np.array([0.1]), np.array([0.2])).low)
    assert np.isnan(fieller(np.array([0.1, -0.1, 0.2]), np.array([0.5, -0.5, 0.1])).low)


def test_fieller_is_suppressed_where_the_denominator_covers_zero():
    found = fieller(np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.2, 1.0]), 0.95)
    assert np.isnan(found.estimate)
    assert "covers 0" in found.method


def test_interquartile_mean_equals_trim_mean(by):
    values = np.random.default_rng(0).normal(size=(20, 1))
    found = interquartile_mean(values, Strata.single(20), by)
    assert found.estimate == stats.trim_mean(values.ravel(), 0.25)
    assert found.low < found.estimate < found.high


def test_hierarchical_bootstrap_covers_its_own_mean(by):
    groups = [np.random.default_rng(k).normal(k / 10, 1, 30) for k in range(8)]
    low, high = hierarchical(groups, by)
    assert low < np.mean([part.mean() for part in groups]) < high


def test_few_clusters_get_a_stated_answer(by):
    one, two, none = mean_intervals(np.array([[0.5, np.nan], [0.1, 0.4], [np.nan, np.nan]]), by)
    assert np.isnan(one.low)
    assert one.method == "no interval: 1 learning run"
    assert two.method == "t on the means of 2 learning runs"
    assert none.method == "no data"


def test_equal_values_get_no_interval_but_equal_shares_do(by):
    equal = np.full((1, 6), 0.0)
    assert "the same value" in mean_intervals(equal, by, REAL)[0].method
    share = mean_intervals(equal, by, SHARE)[0]
    assert (share.low, share.high) == pytest.approx((0.0, 0.524), abs=0.01)


def test_methods_by_scale(by):
    rng = np.random.default_rng(0)
    assert mean_intervals(rng.normal(size=(1, 9)), by)[0].method == "t on the means of 9 learning runs"
    spread = np.array([[0.0, 0.0, 0.0, 0.5, 0.9, 0.0]])
    assert mean_intervals(spread, by, SHARE)[0].method.startswith("Wilson")
    assert mean_intervals(spread, by, SHARE, np.full((1, 6), 10.0))[0].method.startswith("beta-binomial")


def test_an_interval_keeps_to_its_scale(by):
    found = mean_intervals(np.array([[0.7, 1.0]]), by, Scale(0.0, 1.0001))[0]
    assert (found.low, found.high) == (0.0, 1.0001)


def test_no_repeated_run_no_interval(by):
    found = pooled_intervals(CellValues(np.array([[[1.0, np.nan], [np.nan, 2.0]]]), np.full(2, 0.5), np.eye(2) > 0), by)
    assert found[0].method == "no interval: no cell has two learning runs"
    assert np.isnan(found[0].low)


def test_same_generator_same_interval():
    first, second = (mean_intervals(VALUES, Resampler(np.random.default_rng(5), 500)) for _ in range(2))
    assert first == second


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=12),
    st.floats(0.1, 10),
    st.floats(-50, 50),
)
def test_intervals_move_with_units(values, scale, shift):
    row = np.round(np.array([values]), 3)
    first = mean_intervals(row, Resampler(np.random.default_rng(1), 200))[0]
    second = mean_intervals(row * scale + shift, Resampler(np.random.default_rng(1), 200))[0]
    if np.isfinite(first.low) and np.isfinite(second.low) and first.method == second.method:
        tolerance = 1e-6 * (1 + abs(shift) + scale * (first.high - first.low))
        assert second.low == pytest.approx(first.low * scale + shift, abs=tolerance)
        assert second.high == pytest.approx(first.high * scale + shift, abs=tolerance)
