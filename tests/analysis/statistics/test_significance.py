"""Every test against an independent implementation or full enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from analysis.statistics.bootstrap import Layout, Resampler
from analysis.statistics.multiplicity import benjamini_hochberg, holm, max_t
from analysis.statistics.significance import (
    barnard,
    equivalence,
    friedman,
    mcnemar,
    mean_test,
    newcombe,
    sign_flip,
    smallest_sign_flip_p,
    t_test,
    wilcoxon,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
def test_sign_flips_equal_enumeration(values):
    row = np.array(values, float)
    patterns = np.array(list(product((1, -1), repeat=len(row))))
    expected = (np.abs(patterns @ row) >= abs(row.sum()) - 1e-9).mean()
    found = sign_flip(row, Layout.single(len(row)), Resampler(np.random.default_rng(0)))
    assert found.p == pytest.approx(expected)


def test_sign_flips_equal_scipy_permutation_test():
    row = np.random.default_rng(1).normal(0.4, 1, 11)
    answer = stats.permutation_test((row,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(row, Layout.single(11), Resampler(np.random.default_rng(0))).p == pytest.approx(answer.pvalue)


def test_many_clusters_are_flipped_at_random_and_agree_with_t():
    row = np.random.default_rng(1).normal(0.3, 1, 60)
    found = sign_flip(row, Layout.single(60), Resampler(np.random.default_rng(0), 20_000))
    assert "20000 draws" in found.method
    assert found.p == pytest.approx(stats.ttest_1samp(row, 0).pvalue, abs=0.01)


def test_smallest_p_of_sign_flips():
    assert [round(smallest_sign_flip_p(n), 4) for n in (5, 6)] == [0.0625, 0.0312]
    row = np.ones(5)
    assert sign_flip(row, Layout.single(5), Resampler(np.random.default_rng(0))).p == 0.0625


def test_t_equals_scipy():
    row = np.random.default_rng(1).normal(0.4, 1, 8)
    assert t_test(row, Layout.single(8)).p == pytest.approx(stats.ttest_1samp(row, 0).pvalue)


def test_equivalence_equals_statsmodels():
    first, second = np.random.default_rng(1).normal(size=(2, 12))
    expected = ttost_paired(first, second, -0.5, 0.5)[0]
    assert equivalence(first - second, Layout.single(12), 0.5).p == pytest.approx(expected)


def test_mcnemar_is_a_binomial_test():
    assert mcnemar(9, 2).p == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert mcnemar(0, 0).p == 1.0
    expected = stats.binomtest(2, 11).pvalue - stats.binom.pmf(2, 11, 0.5)
    assert mcnemar(9, 2, mid=True).p == pytest.approx(expected)


def test_newcombe_is_made_of_wilson_intervals():
    """Newcombe 1998, table II, row (a): 56/70 against 48/80."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_barnard_equals_scipy_on_the_published_example():
    """Barnard's test in scipy's manual, after Mehta & Senchaudhuri: p = .034."""
    assert barnard(7, 15, 12, 15).p == pytest.approx(stats.barnard_exact([[7, 12], [8, 3]]).pvalue)
    assert barnard(0, 5, 0, 5).p == 1.0


def test_friedman_and_wilcoxon_equal_scipy():
    blocks = np.random.default_rng(1).normal(size=(10, 4))
    assert friedman(blocks).p == pytest.approx(stats.friedmanchisquare(*blocks.T).pvalue)
    assert wilcoxon(blocks[:, 0]).p == pytest.approx(stats.wilcoxon(blocks[:, 0]).pvalue)
    assert wilcoxon(np.zeros(4)).p == 1.0
    assert np.isnan(friedman(blocks[:2]).p)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjustments_equal_statsmodels(values):
    p = np.array(values)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_adjustments_leave_what_has_no_p():
    assert np.isnan(holm(np.array([0.01, np.nan]))[1])
    assert holm(np.array([0.01, np.nan]))[0] == 0.01


def test_max_t_of_one_contrast_is_the_sign_flip_p():
    row = np.random.default_rng(2).normal(0.5, 1, 9)
    by = Resampler(np.random.default_rng(0))
    assert max_t(row[None, :] / 9, by)[0] == pytest.approx(sign_flip(row, Layout.single(9), by).p)


def test_max_t_equals_a_plain_loop_and_beats_bonferroni():
    values = np.random.default_rng(2).normal(0.4, 1, (3, 8)) + np.random.default_rng(3).normal(0.4, 1, 8)
    found = max_t(values / 8, Resampler(np.random.default_rng(0)))
    patterns = np.array(list(product((1, -1), repeat=8)))
    statistics = np.array([[abs(stats.ttest_1samp(row * signs, 0).statistic) for signs in patterns] for row in values])
    best = int(np.argmax(statistics[:, 0]))
    assert found[best] == pytest.approx((statistics.max(axis=0) >= statistics[best, 0] - 1e-9).mean())
    alone = np.array([sign_flip(row, Layout.single(8), Resampler(np.random.default_rng(0))).p for row in values])
    assert (found >= alone - 1e-12).all()
    assert (found <= np.minimum(1, 3 * alone) + 1e-12).all()


def test_the_report_test_by_number_of_clusters(by):
    assert "t test" in mean_test(np.array([1.0, 2.0, 4.0]), Layout.single(3), by).method
    assert "sign-flip" in mean_test(np.arange(6.0), Layout.single(6), by).method
    assert mean_test(np.array([1.0]), Layout.single(1), by).method == "no test: 1 learning run"
    assert np.isnan(mean_test(np.ones(3), Layout.single(3), by).p)
