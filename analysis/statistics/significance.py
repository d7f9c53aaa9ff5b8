"""Tests for clustered and paired data. Every test takes cluster values (one per learning run) or plain counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as _mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.cell_means import CellValues
from analysis.statistics.unseen import Unseen

EXACT_UP_TO = 32
"""Clusters up to which the sign-flip distribution is enumerated (2³² sign patterns, by two halves of 2¹⁶)."""
LEAST_FREEDOM = 3.0
"""Degrees of freedom from which a verdict is given: four learning runs of one cell. Below, Student's t rests on the
normality of two or three numbers alone."""


@dataclass(frozen=True)
class Test:
    """A p value and the method that gave it; p is NaN when the method cannot answer, and `method` says why."""

    p: float
    method: str

    __test__ = False  # not a pytest class


def mean_test(cells: CellValues) -> Test:
    """The report's two-sided test of a mean of zero: the pivot that also gives the interval (first measure).

    Where all runs agree to the last digit there is no pivot, and the smallest p of sign flips says what that is worth.
    """
    pivot, clusters = cells.pivot, cells.clusters
    if bool(np.isnan(pivot.error[0])):
        return Test(
            float("nan"), "no test: no cell has two learning runs" if clusters > 1 else "no test: 1 learning run"
        )
    if bool(pivot.flat[0]) and abs(float(pivot.estimate[0])) > 1e-12:
        return Test(
            smallest_sign_flip_p(clusters), f"sign flips: all {clusters} learning runs gave the same difference"
        )
    if bool(pivot.flat[0]):
        return Test(float("nan"), "no test: every learning run gave the same difference")
    name = f"t test on {clusters} learning runs, {float(pivot.freedom[0]):.1f} degrees of freedom"
    return Test(float(pivot.p()[0]), name)


def equivalence(cells: CellValues, margin: float, unseen: Unseen, pools: int = 0, reach: float = np.nan) -> Test:
    """p of "the mean lies outside ±margin", a margin declared beforehand (first measure).

    Two one-sided t tests (Schuirmann 1987) within what is left of the margin when good pools were not met (`unseen`).
    Where all values are exactly 0 no test exists, but a bound does: a mean beyond the margin needs a share of at least
    margin ÷ `reach` (the largest difference possible) of the `pools` to differ, and none of them did.
    """
    pivot = cells.pivot
    if bool(np.isnan(pivot.error[0])):
        return Test(float("nan"), "no test: no cell has two learning runs")
    if bool(pivot.flat[0]):
        if abs(float(pivot.estimate[0])) > 1e-12 or not (np.isfinite(reach) and reach > 0 and pools):
            return Test(float("nan"), "no test: every learning run gave the same difference")
        chance = max(0.0, 1 - margin / reach) ** pools
        return Test(chance, f"none of {pools} learning runs differed, margin ±{margin:g} of at most ±{reach:g}")
    low, high = unseen.within(margin)
    if low >= high:
        return Test(1.0, f"margin ±{margin:g} is narrower than what pools not met could add")
    return Test(float(pivot.p_outside(low, high)[0]), f"two one-sided t tests, margin ±{margin:g}")


def sign_flip(values: Array, by: Resampler) -> Test:
    """Two-sided test that no cluster has an effect, of `values` (clusters,): each sign is a coin toss.

    Exact up to EXACT_UP_TO clusters, else by random flips (Phipson & Smyth 2010: (b + 1)/(B + 1)). A second opinion:
    with effects that differ between tasks it is conservative, and it gives no interval.
    """
    terms = np.abs(values)
    observed = abs(float(values.sum()))
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


def wilcoxon(differences: Array, by: Resampler) -> Test:
    """Wilcoxon's signed-rank test: another question than the mean's, whether differences lie symmetrically about 0.

    Exact with ties too (up to EXACT_UP_TO differences): signs of the ranks are flipped. Zeros are left out.
    """
    known = differences[differences != 0]
    if not len(known):
        return Test(1.0, "Wilcoxon: no difference at all")
    ranks = np.asarray(stats.rankdata(np.abs(known)), np.float64) * np.sign(known)
    return Test(sign_flip(ranks, by).p, f"Wilcoxon signed-rank on {len(known)} differences")


def _signed_sums(terms: Array) -> Array:
    sums = np.zeros(1)
    for term in terms:
        sums = np.concatenate([sums + term, sums - term])
    return sums
