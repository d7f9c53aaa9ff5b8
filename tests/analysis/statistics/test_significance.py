"""Every test against an independent implementation or full enumeration."""

from __future__ import annotations

from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from analysis.statistics.bootstrap import Resampler
from analysis.statistics.cell_means import CellValues
from analysis.statistics.multiplicity import benjamini_hochberg, holm
from analysis.statistics.significance import (
    barnard,
    equivalence,
    friedman,
    mcnemar,
    mean_test,
    newcombe,
    sign_flip,
    smallest_sign_flip_p,
    wilcoxon,
)
from analysis.statistics.unseen import Unseen


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
def test_sign_flips_equal_enumeration(values):
    row = np.array(values, float)
    patterns = np.array(list(product((1, -1), repeat=len(row))))
    expected = (np.abs(patterns @ row) >= abs(row.sum()) - 1e-9).mean()
    found = sign_flip(row, Resampler(np.random.default_rng(0)))
    assert found.p == pytest.approx(expected)


def test_sign_flips_equal_scipy_permutation_test():
    row = np.random.default_rng(1).normal(0.4, 1, 11)
    answer = stats.permutation_test((row,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(row, Resampler(np.random.default_rng(0))).p == pytest.approx(answer.pvalue)


def test_many_clusters_are_flipped_at_random_and_agree_with_t():
    row = np.random.default_rng(1).normal(0.3, 1, 60)
    found = sign_flip(row, Resampler(np.random.default_rng(0), 20_000))
    assert "20000 draws" in found.method
    assert found.p == pytest.approx(stats.ttest_1samp(row, 0).pvalue, abs=0.01)


def test_smallest_p_of_sign_flips():
    assert [round(smallest_sign_flip_p(n), 4) for n in (5, 6)] == [0.0625, 0.0312]
    row = np.ones(5)
    assert sign_flip(row, Resampler(np.random.default_rng(0))).p == 0.0625


def test_t_equals_scipy():
    row = np.random.default_rng(1).normal(0.4, 1, 8)
    assert mean_test(CellValues.single(row)).p == pytest.approx(stats.ttest_1samp(row, 0).pvalue)


def test_equivalence_equals_statsmodels():
    first, second = np.random.default_rng(1).normal(size=(2, 12))
    expected = ttost_paired(first, second, -0.5, 0.5)[0]
    assert equivalence(CellValues.single(first - second), 0.5, Unseen()).p == pytest.approx(expected)


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


def test_friedman_and_wilcoxon_equal_scipy(by):
    blocks = np.random.default_rng(1).normal(size=(10, 4))
    assert friedman(blocks).p == pytest.approx(stats.friedmanchisquare(*blocks.T).pvalue)
    assert wilcoxon(blocks[:, 0], by).p == pytest.approx(stats.wilcoxon(blocks[:, 0]).pvalue)
    assert wilcoxon(np.zeros(4), by).p == 1.0
    assert np.isnan(friedman(blocks[:2]).p)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.02, 0.3]), min_size=1, max_size=12))
def test_adjustments_equal_statsmodels(values):
    p = np.array(values)
    with patch("gc.collect"):  # statsmodels collects garbage at every call: most of a second in a large process
        expected = multipletests(p, method="holm")[1]
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_a_claim_without_a_p_gets_none_and_counts_as_one_of_1():
    p = np.array([0.01, np.nan, 0.5])
    counted = np.array([0.01, 1.0, 0.5])
    for adjust in (holm, benjamini_hochberg):
        found = adjust(p)
        assert np.isnan(found[1])
        assert found[[0, 2]].tolist() == adjust(counted)[[0, 2]].tolist()


def test_an_empty_family_has_no_adjusted_p():
    assert holm(np.empty(0)).shape == benjamini_hochberg(np.empty(0)).shape == (0,)


def test_what_has_no_p_stays_in_the_family():
    found = holm(np.array([0.01, np.nan]))
    assert found[0] == 0.02
    assert np.isnan(found[1])
    assert benjamini_hochberg(np.array([0.01, np.nan]))[0] == 0.02


def test_wilcoxon_is_exact_with_ties(by):
    differences = np.array([-0.15, -0.05, 0.2, 0, -0.2, 0])
    known = differences[differences != 0]
    ranks = stats.rankdata(np.abs(known))
    sums = np.array([signs @ ranks for signs in product((1, -1), repeat=4)])
    expected = (np.abs(sums) >= abs(float(np.sign(known) @ ranks)) - 1e-9).mean()
    assert wilcoxon(differences, by).p == pytest.approx(expected)
    assert expected == 0.75


def test_the_report_test_says_why_it_has_none():
    assert "t test on 3 learning runs, 2.0" in mean_test(CellValues.single(np.array([1.0, 2.0, 4.0]))).method
    assert mean_test(CellValues.single(np.array([1.0]))).method == "no test: 1 learning run"
    assert np.isnan(mean_test(CellValues.single(np.zeros(3))).p)
    assert mean_test(CellValues.single(np.ones(6))).p == 2**-5


def test_equivalence_of_nothing_but_zeros_is_a_bound_on_what_was_not_met():
    zeros = CellValues.single(np.zeros(30))
    assert equivalence(zeros, 0.1, Unseen(), 30, 1.0).p == pytest.approx(0.9**30)
    assert np.isnan(equivalence(zeros, 0.1, Unseen()).p)
    assert np.isnan(equivalence(CellValues.single(np.full(30, 0.01)), 0.1, Unseen(), 30, 1.0).p)
