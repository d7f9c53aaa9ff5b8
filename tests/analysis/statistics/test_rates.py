"""Rates near 0 and 1, and of few runs: inside [0, 1], covering, and not the whole range."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics.rates import CORRELATIONS, MEANS, MOST, clopper_pearson, near_edge, rate_interval


def test_clopper_pearson_equals_statsmodels():
    for count, n in ((0, 5), (3, 20), (20, 20)):
        found = clopper_pearson(np.array([float(count)]), np.array([float(n)]))
        assert [float(end[0]) for end in found] == pytest.approx(proportion_confint(count, n, method="beta"), abs=1e-9)


def test_two_solved_of_two_hundred_is_not_the_whole_range():
    """Review: ten runs, two of them with 1 of 20, gave [0, 1]."""
    low, high = rate_interval(np.array([[1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0]]), np.full((1, 10), 20.0))
    assert 0 < low[0] < 0.01 < high[0] < 0.1


def test_nothing_solved_has_an_upper_end():
    low, high = rate_interval(np.zeros((1, 4)), np.full((1, 4), 20.0))
    assert (low[0], high[0] < 0.7) == (0.0, True)


@pytest.mark.parametrize("runs", [2, 3, 5, 10])
@pytest.mark.parametrize(("share", "icc"), [(0.02, 0.1), (0.02, 0.3), (0.3, 0.1), (0.5, 0.3)])
def test_coverage(runs, share, icc):
    rng = np.random.default_rng(runs)
    spread = (1 - icc) / icc
    solved = rng.binomial(20, rng.beta(share * spread, (1 - share) * spread, (400, runs))).astype(float)
    low, high = rate_interval(solved, np.full(solved.shape, 20.0))
    hits = int(((low <= share) & (share <= high)).sum())
    assert stats.binomtest(hits, 400, 0.93, alternative="less").pvalue > 0.001
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert np.median(high - low) < 0.97


def test_runs_at_the_edges_widen_the_interval():
    alike = rate_interval(np.full((1, 6), 10.0), np.full((1, 6), 20.0))
    apart = rate_interval(np.array([[0.0, 20, 0, 20, 0, 20]]), np.full((1, 6), 20.0))
    assert apart[1] - apart[0] > 2 * (alike[1] - alike[0])


@lru_cache
def log_likelihood(solved: int, trials: int) -> np.ndarray:
    """scipy's beta-binomial over the same grid (means, correlations)."""
    size = (1 - CORRELATIONS) / CORRELATIONS
    return stats.betabinom.logpmf(solved, trials, MEANS[:, None] * size, (1 - MEANS[:, None]) * size)


def interval_of_rate(solved: list[int], trials: list[int], level: float) -> tuple[float, float]:
    total = np.sum([log_likelihood(*pair) for pair in zip(solved, trials, strict=True)], axis=0)
    drops = 2 * (total.max() - total.max(axis=1))
    limit = min(stats.t.ppf((1 + level) / 2, max(len(solved) - 1, 1)) ** 2, MOST)
    inside = [mean for mean, drop in zip(MEANS, drops, strict=True) if drop <= limit]
    low = 0.0 if inside[0] == MEANS[0] else inside[0]
    high = 1.0 if inside[-1] == MEANS[-1] else inside[-1]
    exact = stats.binomtest(sum(solved), sum(trials)).proportion_ci(level)
    share = float(np.mean(np.array(solved) / np.array(trials)))
    return min(low, exact.low, share), max(high, exact.high, share)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("runs", [1, 2, 3, 4, 9])
def test_intervals_equal_scipys_beta_binomial(runs: int, level: float):
    rng = np.random.default_rng(runs)
    trials = rng.integers(1, 30, (30, runs))
    solved = rng.binomial(trials, rng.choice([0.0, 0.01, 0.3, 0.6, 0.95, 1.0], (30, 1)))
    low, high = rate_interval(solved.astype(float), trials.astype(float), level)
    expected = [interval_of_rate(*pair, level) for pair in zip(solved.tolist(), trials.tolist(), strict=True)]
    np.testing.assert_allclose(np.stack([low, high], axis=1), expected, atol=1e-9)


def test_exact_intervals_at_both_ends_and_without_warnings():
    with np.errstate(all="raise"):
        low, high = clopper_pearson(np.array([0.0, 1.0, 4.0, 5.0]), np.full(4, 5.0), 0.9)
    expected = [stats.binomtest(count, 5).proportion_ci(0.9) for count in (0, 1, 4, 5)]
    assert low == pytest.approx([each.low for each in expected])
    assert high == pytest.approx([each.high for each in expected])


@pytest.mark.parametrize("runs", [10, 30])
def test_a_tenth_of_good_pools_is_covered_though_it_may_be_unmet(runs: int):
    """Review: where a tenth solves .95 and the rest .02, 67 % at ten learning runs and 81 % at thirty."""
    rng = np.random.default_rng(runs)
    solved = rng.binomial(20, np.where(rng.random((1000, runs)) < 0.1, 0.95, 0.02)).astype(float)
    trials, truth = np.full(solved.shape, 20.0), 0.1 * 0.95 + 0.9 * 0.02
    alone, learned = (rate_interval(solved, trials, learned=known) for known in (False, True))
    alone_covers, learned_covers = (np.mean((low <= truth) & (truth <= high)) for low, high in (alone, learned))
    assert alone_covers < 0.9
    assert learned_covers > 0.95
    assert (learned[1] >= alone[1]).all()


def test_pools_in_the_middle_are_not_widened():
    shares = np.array([[0.3, 0.5, 0.2, 0.4], [0.05, 0.0, 0.05, 0.9], [0.95, 1.0, 0.95, 0.1]])
    assert near_edge(shares).tolist() == [False, True, True]
    one = (np.array([[6.0, 10, 4, 8]]), np.full((1, 4), 20.0))
    assert rate_interval(*one, learned=True) == rate_interval(*one)
