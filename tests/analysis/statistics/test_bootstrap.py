"""Bootstraps against plain loops over the same draws."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.bootstrap import (
    Resampler,
    Strata,
    bca,
    hierarchical,
    mean_and_error,
    studentised,
    tails,
)

TWO_TASKS = Strata(np.array([0, 0, 0, 1, 1, 1, 1]))


def order_statistic(values: np.ndarray, q: float) -> float:
    """Of rank (n + 1)q from below, the smallest where there is none."""
    rank = int(Fraction(len(values) + 1) * Fraction(q).limit_denominator(1000))
    return float(np.sort(values)[max(rank, 1) - 1])


@pytest.mark.parametrize("count", [1, 5, 19, 38, 39, 78, 79, 199])
def test_tails_are_order_statistics(count: int):
    draws = np.random.default_rng(count).normal(size=(3, count))
    for level in (0.95, 0.9):
        low, high = tails(draws, level)
        for row, left, right in zip(draws, low, high, strict=True):
            assert left == order_statistic(row, (1 - level) / 2)
            assert right == -order_statistic(-row, (1 - level) / 2)


def test_infinite_draws_give_infinite_tails():
    low, high = tails(np.array([[-np.inf, 0.0, np.inf]]), 0.95)
    assert (low[0], high[0]) == (-np.inf, np.inf)


def test_strata_are_labels_and_draws_are_counts():
    assert Strata.single(3).strata.dtype == np.int64
    draws = TWO_TASKS.resample(Resampler(np.random.default_rng(0), 50))
    assert draws.dtype == np.float64
    assert (draws[:, :3].sum(axis=1) == 3).all()
    assert (draws[:, 3:].sum(axis=1) == 4).all()
    assert draws.std(axis=0).min() > 0


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_freedom_is_welchs_at_any_scale(scale: float):
    values = scale * np.arange(7.0)[None, :] ** 1.5
    _, _, freedom = mean_and_error(values, TWO_TASKS)
    assert freedom[0] == pytest.approx(stats.ttest_ind(values[0, :3], -values[0, 3:], equal_var=False).df)


def test_equal_values_have_no_error_and_all_the_freedom():
    with np.errstate(all="raise"):
        estimate, error, freedom = mean_and_error(np.full((1, 7), 0.5), TWO_TASKS)
    assert (estimate[0], error[0], freedom[0]) == (0.5, 0.0, 5.0)


def roots(row: np.ndarray, layout: Strata, draws: np.ndarray) -> list[float]:
    """(resample's mean − mean) ÷ resample's error, 0 or infinite where the resample's clusters are equal."""
    out = []
    for counts in draws.astype(int):
        means, variance = [], 0.0
        for part in layout.slices:
            sample = np.repeat(row[part], counts[part])
            means.append(sample.mean() - row[part].mean())
            if len(set(sample)) > 1:
                variance += sample.var(ddof=1) / len(sample) / len(layout.slices) ** 2
        shift = float(np.mean(means))
        flat = 0.0 if abs(shift) < 1e-7 * np.ptp(row) else np.copysign(np.inf, shift)
        out.append(shift / np.sqrt(variance) if variance else flat)
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=7, max_size=7).filter(lambda row: len(set(row)) > 1),
    st.sampled_from([1e-12, 1e-6, 1.0, 1e6]),
    st.sampled_from([Strata.single(7), TWO_TASKS]),
    st.sampled_from([0.5, 0.9]),
)
def test_studentised_equals_a_plain_loop_with_ties_strata_and_scales(values, scale, layout, level):
    row = np.array(values, float)
    draws = layout.resample(Resampler(np.random.default_rng(1), 199))
    found = roots(row, layout, draws)
    estimate, error, _ = mean_and_error(row[None, :], layout)
    with np.errstate(invalid="ignore"):
        expected = [
            float(estimate[0] + order_statistic(-np.array(found), (1 - level) / 2) * error[0]),
            float(estimate[0] - order_statistic(np.array(found), (1 - level) / 2) * error[0]),
        ]
    low, high = studentised(scale * row[None, :], layout, level, draws)
    assert [low[0] / scale, high[0] / scale] == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


def test_studentised_bounds_of_equal_values_are_that_value():
    draws = TWO_TASKS.resample(Resampler(np.random.default_rng(1), 99))
    with np.errstate(invalid="raise", over="raise"):
        low, high = studentised(np.full((2, 7), 0.25), TWO_TASKS, 0.95, draws)
    assert (low == 0.25).all()
    assert (high == 0.25).all()


def test_an_interval_end_made_of_equal_resamples_is_infinite():
    low, high = studentised(np.array([[0.0, 1.0]]), Strata.single(2), 0.95, np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert (low[0], high[0]) == (-np.inf, np.inf)


def bca_of(row: np.ndarray, layout: Strata, level: float, draws: np.ndarray) -> list[float]:
    weights = layout.weights
    means = np.sort([float(np.sum(row * weights * counts)) for counts in draws])
    estimate = float(np.sum(row * weights))
    near = np.isclose(means, estimate, rtol=0, atol=1e-9 * np.abs(row).max())
    below = sum(0.5 if tied else float(mean < estimate) for mean, tied in zip(means, near, strict=True)) / len(means)
    bias = stats.norm.ppf(min(max(below, 1 / len(means)), 1 - 1 / len(means)))
    influence = np.concatenate([(row[part] - row[part].mean()) * weights[part] for part in layout.slices])
    spread = np.sum(influence**2)
    skew = np.sum(influence**3) / (6 * spread**1.5) if spread > 0 else 0.0
    out = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + stats.norm.ppf(tail)
        rank = round(stats.norm.cdf(bias + z / (1 - skew * z)) * (len(means) + 1)) - 1
        out.append(float(means[min(max(rank, 0), len(means) - 1)]))
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-2, 4), min_size=7, max_size=7),
    st.lists(st.integers(-2, 4), min_size=7, max_size=7),
    st.sampled_from([1e-6, 1.0, 1e6]),
    st.sampled_from([Strata.single(7), TWO_TASKS]),
    st.sampled_from([(9, 0.5), (20, 0.99), (99, 0.9), (400, 0.95)]),
    st.integers(0, 5),
)
def test_bca_equals_a_plain_loop(first, second, scale, layout, size, seed):
    count, level = size
    values = np.array([first, np.multiply(second, scale)], float)
    draws = layout.resample(Resampler(np.random.default_rng(seed), count))
    low, high = bca(values, layout, level, draws)
    for row, left, right in zip(values, low, high, strict=True):
        expected = bca_of(row, layout, level, draws)
        assert [left, right] == pytest.approx(expected, abs=1e-9 * (1 + np.abs(row).max()))


@pytest.mark.parametrize("drawn", [0, 1])
def test_bca_where_all_resamples_lie_on_one_side(drawn: int):
    """No share of resamples is taken for 0 or 1: their quantiles would be infinite."""
    layout = Strata.single(2)
    draws = np.tile(2.0 * np.eye(2)[drawn], (50, 1))
    draws[:5] = 1.9 * np.eye(2)[drawn]
    values = np.array([[1.0, 3.0]])
    low, high = bca(values, layout, 0.95, draws)
    assert [low[0], high[0]] == pytest.approx(bca_of(values[0], layout, 0.95, draws))
    mixed = np.concatenate([draws, [[2.0, 0.0], [0.0, 2.0]]])
    low, high = bca(values, layout, 0.5, mixed)
    assert [low[0], high[0]] == pytest.approx(bca_of(values[0], layout, 0.5, mixed))


def test_a_hierarchy_draws_every_run_and_every_episode():
    by = Resampler(np.random.default_rng(0), 4000)
    assert hierarchical([np.zeros(5), np.full(7, 10.0)], by) == (0.0, 10.0)
    only_first = np.array([10.0, 0.0, 0.0, 0.0])
    low, high = hierarchical([only_first] * 3, by)
    assert 0 <= low < 1.7
    assert high > 4
    assert hierarchical([np.array([2.0])], Resampler(np.random.default_rng(0), 1)) == (2.0, 2.0)


def test_every_drawn_run_takes_a_resample_of_its_own():
    """Two runs of the same 20 episodes of ±1: a mean of 2 · 20 coin tosses."""
    group = np.array([-1.0, 1.0] * 10)
    low, high = hierarchical([group, group], Resampler(np.random.default_rng(2), 20_000))
    assert (low, high) == pytest.approx((-0.3, 0.3), abs=0.051)
