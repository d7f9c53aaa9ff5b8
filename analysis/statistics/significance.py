"""Tests for clustered and paired data. Every test takes cluster values (one per learning run) or plain counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as _mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.statistics.bootstrap import Array, Layout, Resampler, mean_and_error

EXACT_UP_TO = 32
"""Clusters up to which the sign-flip distribution is enumerated (2³² sign patterns, by two halves of 2¹⁶)."""
SIGN_FLIP_FROM = 6
"""Fewest clusters that can reach p < .05 by sign flips: 2/2⁵ = .0625, 2/2⁶ = .031."""


@dataclass(frozen=True)
class Test:
    """A p value and the method that gave it; p is NaN when the method cannot answer, and `method` says why."""

    p: float
    method: str

    __test__ = False  # not a pytest class


def sign_flip(values: Array, layout: Layout, by: Resampler) -> Test:
    """Two-sided test of a zero mean of `values` (clusters,): under the null each cluster's sign is a coin toss.

    Exact up to EXACT_UP_TO clusters, else by random flips (Phipson & Smyth 2010: (b + 1)/(B + 1)).
    """
    terms = np.abs(values * layout.weights)
    observed = abs(float((values * layout.weights).sum()))
    close = 1e-9 * float(terms.sum())
    if len(terms) <= EXACT_UP_TO:
        half = len(terms) // 2
        left, right = _signed_sums(terms[:half]), np.sort(_signed_sums(terms[half:]))
        below = np.searchsorted(right, -observed + close - left, side="right")
        above = len(right) - np.searchsorted(right, observed - close - left, side="left")
        extreme = float(np.minimum(below + above, len(right)).sum())
        return Test(extreme / 2.0 ** len(terms), f"exact sign-flip permutation of {len(terms)} learning runs")
    signs = by.rng.choice(np.array([-1.0, 1.0]), size=(by.resamples, len(terms)))
    extreme = float((np.abs(signs @ terms) >= observed - close).sum())
    return Test(
        (extreme + 1) / (by.resamples + 1), f"sign-flip permutation of {len(terms)} learning runs, {by.resamples} draws"
    )


def smallest_sign_flip_p(clusters: int) -> float:
    """The smallest two-sided p that sign flips of so many clusters can give."""
    return 2.0 ** (1 - clusters)


def t_test(values: Array, layout: Layout) -> Test:
    """Two-sided t test of a zero mean of cluster values (clusters,), Welch–Satterthwaite over strata."""
    estimate, error, freedom = (float(part[0]) for part in mean_and_error(values[None, :], layout))
    if error <= 1e-12 * max(1.0, abs(estimate)):
        return Test(float("nan"), "no test: every learning run gave the same difference")
    return Test(float(2 * stats.t.sf(abs(estimate / error), freedom)), f"t test on {len(values)} learning-run means")


def mean_test(values: Array, layout: Layout, by: Resampler) -> Test:
    """The report's test of a mean difference: sign flips from six clusters on, Student's t below, nothing for one."""
    if min(layout.sizes) < 2 and len(values) < SIGN_FLIP_FROM:
        return Test(float("nan"), f"no test: {len(values)} learning run" + "s" * (len(values) != 1))
    if len(values) >= SIGN_FLIP_FROM:
        return sign_flip(values, layout, by)
    return t_test(values, layout)


def equivalence(values: Array, layout: Layout, margin: float) -> Test:
    """Two one-sided t tests (Schuirmann 1987): p of "the mean lies outside ±margin", a margin declared beforehand."""
    estimate, error, freedom = (float(part[0]) for part in mean_and_error(values[None, :], layout))
    if error <= 1e-12 * max(1.0, abs(estimate)):
        return Test(float("nan"), "no test: every learning run gave the same difference")
    lower = float(stats.t.sf((estimate + margin) / error, freedom))
    upper = float(stats.t.cdf((estimate - margin) / error, freedom))
    return Test(max(lower, upper), f"two one-sided t tests, margin ±{margin:g}")


def mcnemar(only_first: int, only_second: int, *, mid: bool = False) -> Test:
    """Exact McNemar test of paired binary outcomes from its discordant counts; `mid` gives the mid-p value.

    It takes pairs as independent: with several episodes per learning run it is a check, never the verdict.
    """
    if only_first + only_second == 0:
        return Test(1.0, "exact McNemar")
    answer = cast(Any, _mcnemar(np.array([[0, only_first], [only_second, 0]]), exact=True))
    if not mid:
        return Test(min(1.0, float(answer.pvalue)), "exact McNemar")
    chance = float(stats.binom.pmf(min(only_first, only_second), only_first + only_second, 0.5))
    return Test(min(1.0, float(answer.pvalue)) - chance * (only_first != only_second), "mid-p McNemar")


def newcombe(first: int, n_first: int, second: int, n_second: int, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's (1998, method 10) interval of the difference of two independent proportions, first − second."""
    ends = confint_proportions_2indep(
        first, n_first, second, n_second, method="newcomb", compare="diff", alpha=1 - level, correction=False
    )
    return float(ends[0]), float(ends[1])


def barnard(first: int, n_first: int, second: int, n_second: int) -> Test:
    """Barnard's exact unconditional test of two independent proportions."""
    table = np.array([[first, second], [n_first - first, n_second - second]])
    if table.sum(axis=1).min() == 0:
        return Test(1.0, "Barnard's exact test")
    return Test(float(stats.barnard_exact(table).pvalue), "Barnard's exact test")


def friedman(blocks: Array) -> Test:
    """Friedman's test that no method differs, of blocks (tasks, methods); a block is one datum."""
    if blocks.shape[0] < 3 or blocks.shape[1] < 3:
        return Test(
            float("nan"), f"no test: {blocks.shape[0]} tasks and {blocks.shape[1]} methods (3 of each are needed)"
        )
    if bool((blocks == blocks[:, :1]).all()):
        return Test(1.0, "Friedman: every method equal in every task")
    answer = cast(Any, stats.friedmanchisquare(*blocks.T))
    return Test(float(answer.pvalue), f"Friedman, {blocks.shape[0]} tasks × {blocks.shape[1]} methods")


def wilcoxon(differences: Array) -> Test:
    """Wilcoxon's signed-rank test: another question than the mean's, whether differences lie symmetrically about 0."""
    known = differences[differences != 0]
    if not len(known):
        return Test(1.0, "Wilcoxon: no difference at all")
    answer = cast(Any, stats.wilcoxon(known, method="exact" if len(known) <= 50 else "approx"))
    return Test(float(answer.pvalue), f"Wilcoxon signed-rank on {len(known)} differences")


def _signed_sums(terms: Array) -> Array:
    sums = np.zeros(1)
    for term in terms:
        sums = np.concatenate([sums + term, sums - term])
    return sums
