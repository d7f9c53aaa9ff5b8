"""Answers as a whole: the numbers, and what is said of how they came about."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import significance
from analysis.statistics.bootstrap import Resampler, Strata
from analysis.statistics.cell_means import CellValues, independent
from analysis.statistics.estimates import (
    SHARE,
    Interval,
    effective_wilson,
    fieller,
    interquartile_mean,
    mean_intervals,
    pooled_intervals,
    wilson,
)
from analysis.statistics.rates import rate_interval
from analysis.statistics.significance import (
    Test,
    barnard,
    equivalence,
    friedman,
    mcnemar,
    mean_test,
    newcombe,
    sign_flip,
    wilcoxon,
)
from analysis.statistics.unseen import Pools, Unseen

ROW = np.array([0.1, 0.4, 0.35, 0.8, 0.55])
ONE_RUN_EACH = CellValues(np.array([[[1.0, np.nan], [np.nan, 2.0]]]), np.full(2, 0.5), independent(2))
ALIKE = CellValues.single(np.full(6, 0.25))
ZEROS = CellValues.single(np.zeros(30))


@pytest.fixture
def by() -> Resampler:
    """Not the usual level."""
    return Resampler(np.random.default_rng(0), 400, level=0.9)


def check(found: Interval | Test, *expected: object) -> None:
    """Of an interval all but the pivot's error and skewness, which `test_intervals_of_cells` looks at."""
    assert astuple(found)[:7] == tuple(
        pytest.approx(x, nan_ok=True) if isinstance(x, float) else x for x in expected
    ), f"{found} is not {expected}"


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_intervals_of_means(by):
    low, high = stats.ttest_1samp(ROW, 0).confidence_interval(0.9)
    (found,) = mean_intervals(ROW[None, :], by)
    check(found, 0.44, float(low), float(high), 0.9, "t on the means of 5 learning runs", 5, 4.0)
    found, none, one = mean_intervals(np.array([[0.2, 0.4], [np.nan, np.nan], [np.nan, 0.7]]), by)
    assert (found.estimate, found.clusters) == (pytest.approx(0.3), 2)
    check(none, np.nan, np.nan, np.nan, 0.9, "no data", 0, np.nan)
    check(one, 0.7, np.nan, np.nan, 0.9, "no interval: 1 learning run", 1, np.nan)


def test_intervals_of_cells(by):
    cells = CellValues(np.array([[[0.0, 1, 2, np.nan], [3, 3, 4, 6]]]), np.array([0.25, 0.75]), independent(2))
    (found,) = pooled_intervals(cells, by)
    error = np.sqrt(0.25**2 * 1 / 3 + 0.75**2 * 2 / 4)
    assert cells.pivot.error[0] == pytest.approx(error)
    freedom = float(cells.pivot.freedom[0])
    reach = stats.t.ppf(0.95, freedom) * error
    method = f"t on the means of 2 cells, 7 learning runs, {freedom:.1f} degrees of freedom"
    check(found, 3.25, 3.25 - reach, 3.25 + reach, 0.9, method, 7, freedom)
    assert (found.error, found.skewness) == (pytest.approx(error), 0.0)
    (tailed,) = pooled_intervals(replace(cells, skewness=np.array([[-4.0, 0.0]])), by)
    farther = 1 + 2 * 1 / (freedom + 3)
    method += f"; lower end {farther:.1f} times as far for a skewness of -1.0"
    check(tailed, 3.25, 3.25 - farther * reach, 3.25 + reach, 0.9, method, 7, freedom)
    assert (tailed.error, tailed.skewness) == (pytest.approx(error), -1.0)
    (found,) = pooled_intervals(ONE_RUN_EACH, by)
    check(found, 1.5, np.nan, np.nan, 0.9, "no interval: no cell has two learning runs", 2, np.nan)
    (found,) = pooled_intervals(ALIKE, by)
    check(found, 0.25, np.nan, np.nan, 0.9, "no interval: all 6 learning runs gave the same value", 6, 5.0)
    two = CellValues(np.array([[[1.0, 1.0, np.nan], [np.nan, np.nan, 1.0]]]), np.full(2, 0.5), independent(2))
    assert pooled_intervals(two, by)[0].method == "no interval: all 3 learning runs gave the same value"


def test_intervals_of_shares(by):
    low, high = effective_wilson(CellValues.single(ROW).pivot, 5, 0.9)
    (found,) = mean_intervals(ROW[None, :], by, SHARE)
    check(found, 0.44, float(low[0]), float(high[0]), 0.9, "Wilson on the effective number of 5 learning runs", 5, 4.0)
    inside = np.var(ROW, ddof=1) / 5
    expected = wilson(np.array(0.44), np.array(0.44 * 0.56 / inside), stats.t.ppf(0.95, 4))
    assert (low[0], high[0]) == pytest.approx(expected)


def test_where_all_runs_agree_each_counts_as_one_observation():
    """0, one half and 1."""
    for share in (0.0, 0.5, 1.0):
        found = effective_wilson(CellValues.single(np.full((1, 6), share)).pivot, 6, 0.9)
        expected = wilson(np.array([share]), np.array([6.0]), stats.t.ppf(0.95, 5))
        assert [float(end[0]) for end in found] == pytest.approx([float(end[0]) for end in expected])


def test_intervals_of_rates(by):
    trials = np.array([[10.0, 20, 10], [10, 20, 10], [10, np.nan, 10]])
    shares = np.array([[0.5, 0.25, 0.1], [0.0, 0.05, 0.0], [1.0, np.nan, 0.9]])
    for row, found in enumerate(mean_intervals(shares, by, SHARE, trials)):
        known = ~np.isnan(shares[row])
        solved = (shares[row] * trials[row])[known][None, :]
        low, high = rate_interval(solved, trials[row][known][None, :], 0.9)
        count = int(known.sum())
        name = f"beta-binomial likelihood of {count} learning runs"
        check(found, float(np.nanmean(shares[row])), float(low[0]), float(high[0]), 0.9, name, count, np.nan)
    (found,) = mean_intervals(np.array([[0.5, np.nan]]), by, SHARE, np.full((1, 2), 10.0))
    check(found, 0.5, np.nan, np.nan, 0.9, "no interval: 1 learning run", 1, np.nan)


@pytest.mark.parametrize("sizes", [(5,), (2, 4), (3, 3)])
def test_interquartile_means(by, sizes):
    values = np.random.default_rng(1).normal(size=(sum(sizes), 3)) + np.arange(3.0)
    layout = Strata(np.repeat(np.arange(len(sizes)), sizes))
    found = interquartile_mean(values, layout, by)
    rng, means = np.random.default_rng(0), []
    drawn = [rng.integers(0, size, (400, size)) for size in sizes]
    for resample in range(400):
        rows = []
        for part, size, picks in zip(layout.slices, sizes, drawn, strict=True):
            source = values[part]
            for pick in picks[resample]:
                rows += (source.mean(0) + (source[pick] - source.mean(0)) * (size / (size - 1)) ** 0.5).tolist()
        kept = sorted(rows)[len(rows) // 4 : len(rows) - len(rows) // 4]
        means.append(sum(kept) / len(kept))
    estimate = float(stats.trim_mean(values.ravel(), 0.25))
    reach = stats.t.ppf(0.95, sum(sizes) - len(sizes)) * np.std(means)
    expected = (estimate, estimate - reach, estimate + reach)
    check(found, *expected, 0.9, "t with stratified bootstrap SE", sum(sizes), np.nan)


def test_no_interquartile_interval_of_one_run(by):
    found = interquartile_mean(np.array([[1.0], [2.0], [4.0]]), Strata(np.array([0, 0, 1])), by)
    check(found, 2.0 + 1 / 3, np.nan, np.nan, 0.9, "no interval: a task with 1 learning run", 3, np.nan)


def test_ratios():
    below = np.array([1.0, 1.2, 0.9, 1.1])
    above = np.array([0.5, 0.7, 0.4, 0.5])
    found = fieller(above, below, 0.9)
    assert found.low < found.estimate < found.high
    for end in (found.low, found.high):
        assert stats.ttest_1samp(above - end * below, 0).pvalue == pytest.approx(0.1)
    check(found, 0.5, found.low, found.high, 0.9, "Fieller, 4 learning runs", 4, np.nan)
    assert fieller(above, below) == fieller(above, below, 0.95)
    assert fieller(above[:2], np.array([1.0, 1.01])).clusters == 2
    assert np.isfinite(fieller(above[:2], np.array([1.0, 1.01])).low)
    reason = "suppressed: the denominator's interval covers 0"
    check(fieller(above, below - 1, 0.9), np.nan, np.nan, np.nan, 0.9, reason, 4, np.nan)
    check(fieller(above[:1], below[:1], 0.9), np.nan, np.nan, np.nan, 0.9, "no interval: 1 learning run", 1, np.nan)


def test_a_ratio_that_is_the_same_in_every_run_is_a_point():
    below = np.array([1.0, 1.2, 0.9, 1.1, 1.3])
    for factor in (0.1, 0.3, 0.7, 2.0, 1 / 3):
        found = fieller(factor * below, below)
        assert [found.low, found.estimate, found.high] == pytest.approx([factor] * 3, abs=1e-6)


# -- tests -------------------------------------------------------------------------------------------------------------


def test_tests_of_a_mean():
    check(mean_test(ONE_RUN_EACH), np.nan, "no test: no cell has two learning runs")
    check(mean_test(CellValues.single(np.array([1.0]))), np.nan, "no test: 1 learning run")
    check(mean_test(ALIKE), 2.0**-5, "sign flips: all 6 learning runs gave the same difference")
    check(mean_test(ZEROS), np.nan, "no test: every learning run gave the same difference")
    expected = float(stats.ttest_1samp(ROW, 0).pvalue)
    check(mean_test(CellValues.single(ROW)), expected, "t test on 5 learning runs, 4.0 degrees of freedom")


def test_tests_of_equivalence():
    check(equivalence(ONE_RUN_EACH, 0.1, Unseen()), np.nan, "no test: no cell has two learning runs")
    same = "no test: every learning run gave the same difference"
    check(equivalence(ALIKE, 0.5, Unseen(), 6, 1.0), np.nan, same)
    for pools, reach in ((0, 1.0), (5, np.nan), (5, 0.0), (5, -1.0), (5, np.inf)):
        check(equivalence(ZEROS, 0.1, Unseen(), pools, reach), np.nan, same)
    check(equivalence(ZEROS, 0.1, Unseen(), reach=1.0), np.nan, same)
    bound = "none of 3 learning runs differed, margin ±0.1 of at most ±2"
    check(equivalence(ZEROS, 0.1, Unseen(), 3, 2.0), 0.95**3, bound)
    assert equivalence(ZEROS, 3.0, Unseen(), 3, 2.0).p == 0.0
    narrow = "margin ±0.1 is narrower than what pools not met could add"
    check(equivalence(CellValues.single(ROW), 0.1, Unseen(up=Pools(2, 1.0), down=Pools(2, 1.0))), 1.0, narrow)
    expected = float(stats.ttest_1samp(ROW, 0.6, alternative="less").pvalue)
    check(equivalence(CellValues.single(ROW), 0.6, Unseen()), expected, "two one-sided t tests, margin ±0.6")


def test_sign_flips_say_what_they_are(by, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(significance, "EXACT_UP_TO", 5)
    check(sign_flip(np.ones(5), by), 2.0**-4, "exact sign-flip permutation of 5 learning runs")
    check(sign_flip(np.ones(40), by), 1 / 401, "sign-flip permutation of 40 learning runs, 400 draws")
    check(sign_flip(np.eye(6)[0], by), 1.0, "sign-flip permutation of 6 learning runs, 400 draws")
    thirds = np.full(7, 1 / 3)
    signs = np.random.default_rng(5).choice(np.array([-1.0, 1.0]), size=(400, 7))
    hits = int((np.abs(signs.sum(axis=1)) == 7).sum())
    assert hits > 0
    assert sign_flip(thirds, Resampler(np.random.default_rng(5), 400)).p == pytest.approx((hits + 1) / 401)


def test_tests_of_pairs():
    check(mcnemar(0, 0), 1.0, "exact McNemar")
    check(mcnemar(0, 0, mid=True), 1.0, "exact McNemar")
    check(mcnemar(5, 5), 1.0, "exact McNemar")
    check(mcnemar(5, 5, mid=True), 1.0, "mid-p McNemar")
    check(mcnemar(1, 0), 1.0, "exact McNemar")
    check(mcnemar(1, 0, mid=True), 0.5, "mid-p McNemar")
    check(mcnemar(7, 1), float(stats.binomtest(1, 8).pvalue), "exact McNemar")
    expected = float(stats.binomtest(1, 8).pvalue - stats.binom.pmf(1, 8, 0.5))
    check(mcnemar(1, 7, mid=True), expected, "mid-p McNemar")


def test_tests_of_proportions():
    (p, q), z = (56 / 70, 48 / 80), stats.norm.ppf(0.95)
    (low, high), (left, right) = (wilson(np.array(share), np.array(n), z) for share, n in ((p, 70.0), (q, 80.0)))
    expected = (p - q - np.hypot(p - low, right - q), p - q + np.hypot(high - p, q - left))
    assert newcombe(56, 70, 48, 80, 0.9) == pytest.approx(expected)
    assert newcombe(56, 70, 48, 80) == newcombe(56, 70, 48, 80, 0.95)
    check(barnard(0, 5, 0, 5), 1.0, "Barnard's exact test")
    check(barnard(5, 5, 7, 7), 1.0, "Barnard's exact test")
    check(barnard(1, 5, 0, 5), float(stats.barnard_exact([[1, 0], [4, 5]]).pvalue), "Barnard's exact test")
    assert barnard(1, 9, 0, 2).p < 1


def test_tests_of_methods(by):
    blocks = np.array([[1.0, 2, 4], [1, 3, 2], [0, 4, 5], [2, 3, 9]])
    expected = float(stats.friedmanchisquare(*blocks.T).pvalue)
    check(friedman(blocks), expected, "Friedman, 4 tasks × 3 methods")
    check(friedman(blocks[:3]), float(stats.friedmanchisquare(*blocks[:3].T).pvalue), "Friedman, 3 tasks × 3 methods")
    check(friedman(np.ones((4, 3))), 1.0, "Friedman: every method equal in every task")
    check(friedman(blocks[:2]), np.nan, "no test: 2 tasks and 3 methods (3 of each are needed)")
    check(friedman(blocks[:, :2]), np.nan, "no test: 4 tasks and 2 methods (3 of each are needed)")
    check(wilcoxon(np.zeros(4), by), 1.0, "Wilcoxon: no difference at all")
    check(wilcoxon(np.array([0.0, 1, 2, 3]), by), 0.25, "Wilcoxon signed-rank on 3 differences")
    assert wilcoxon(np.arange(1.0, 41), by).p == pytest.approx(1 / 401)
