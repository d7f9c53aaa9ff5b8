"""The mean over cells of clustered values, with one pivot that gives its interval, its p and its equivalence test.

(estimate − truth) ÷ error is referred to Student's t, so that an interval and a verdict cannot contradict each other.
The error is CR2 for cell means (Bell & McCaffrey 2002): every cell contributes its own variance, cells that share a
learned pool or environment seeds their covariance (two-way clustering, Cameron, Gelbach & Miller 2011). The degrees of
freedom are Satterthwaite's over cells. Chosen by simulation: sign flips and the studentised bootstrap of whole runs
have no answer for 10 learning runs in one cell and 1 to 5 in another, and Welch's t covers 88 to 94 % there.

Student's t takes runs for normal. Where values have a long tail on one side (most are zero, a few are large) its
interval ends too early on that side: it covers 84 % at four runs if nine returns in ten are zero. A few runs do not
show such a tail but their single values do, so their skewness moves the end outwards (`STRETCH`), for interval, p and
equivalence alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components

from analysis.statistics.bootstrap import Array, Bounds, Strata

Related = NDArray[np.bool_]
PRIOR_FREEDOM = 0.5
"""Observations of the pooled variance that moderate each cell's own when degrees of freedom are counted. With none a
cell of two runs that happen to agree gives Welch's interval 90 % coverage, with one 98 %; a half gives 94 to 97 %."""

STRETCH = 2.0
"""How far the long tail of skewed values moves the end on its side: the reach is 1 + STRETCH · skewness ÷ (freedom + 3)
times Student's. Chosen by simulation at 2 to 30 runs: with it means cover 94 to 97 % at skewness 0 to 7."""


@dataclass(frozen=True)
class CellValues:
    """Values of one estimate in every cell and learning run, and how the cells are weighed and related."""

    values: Array
    """Shape (measures, cells, runs); NaN where a cell lacks a run, at the same places for all measures."""
    weights: Array
    """Shape (cells,), summing to 1."""
    related: Related
    """Shape (cells, cells): whether two cells share a source of chance in the same run. Runs are independent."""
    skewness: Array | float = 0.0
    """Of the single values (one per environment seed) behind a cell's runs, shape (measures, cells) or one for all."""

    @classmethod
    def single(cls, values: Array, skewness: Array | float = 0.0) -> CellValues:
        """One cell: `values` (measures, runs) or (runs,), `skewness` (measures,) or one for all."""
        values = np.atleast_2d(values)[:, None, :]
        return cls(values, np.ones(1), independent(1), np.broadcast_to(skewness, len(values))[:, None])

    @cached_property
    def clusters(self) -> int:
        """Independent clusters: runs of each connected group of cells."""
        present, labels = ~np.isnan(self.values[0]), blocks(self.related)
        return sum(int(present[labels == label].any(axis=0).sum()) for label in range(int(labels.max()) + 1))

    def by_cluster(self) -> tuple[Array, Strata]:
        """One value per cluster (measures, clusters), strata being connected groups of cells: what bootstraps resample.

        A cell that lacks a run takes part by its deviations from its own mean, so that a missing hard cell does not
        make a run look good.
        """
        labels, means = blocks(self.related), np.nanmean(self.values, axis=2)
        parts: list[Array] = []
        for label in range(int(labels.max()) + 1):
            group = labels == label
            values, middle = self.values[:, group], means[:, group] @ self.weights[group]
            some = ~np.isnan(values[0]).all(axis=0)
            share = np.where(np.isnan(values[0]), 0.0, self.weights[group][:, None])[:, some]
            deviations = np.nan_to_num(values - means[:, group, None])[:, :, some]
            total = float(self.weights[group].sum())
            parts.append((middle[:, None] + total * (deviations * share).sum(axis=1) / share.sum(axis=0)) / total)
        strata = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        return np.hstack(parts), Strata(strata)

    @cached_property
    def pivot(self) -> Pivot:
        """See `cell_mean`."""
        skewness = np.broadcast_to(self.skewness, self.values.shape[:2])
        return cell_mean(self.values, self.weights, self.related, skewness)


@dataclass(frozen=True)
class Pivot:
    """(estimate − truth) ÷ error follows Student's t with `freedom` degrees of freedom, stretched on one side where
    values are skewed; arrays (measures,)."""

    estimate: Array
    error: Array
    freedom: Array
    skewness: Array
    """Of the single values, averaged over cells."""
    offered: float = np.nan
    """The degrees of freedom that the design offers: those of runs that vary alike in all cells."""

    @property
    def stretch(self) -> Bounds:
        """How many times as far as Student's t the interval reaches below and above the estimate."""
        farther = stretch(self.skewness, self.freedom)
        return np.where(self.skewness < 0, farther, 1.0), np.where(self.skewness > 0, farther, 1.0)

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Where nothing varied, or nothing was repeated: there is no pivot."""
        return ~(self.error > 1e-12 * np.maximum(1.0, np.abs(self.estimate)))

    def interval(self, level: float) -> Bounds:
        """Both ends; NaN where there is no pivot."""
        reach = np.where(self.flat, np.nan, stats.t.ppf((1 + level) / 2, self.freedom) * self.error)
        below, above = self.stretch
        return self.estimate - below * reach, self.estimate + above * reach

    def p(self) -> Array:
        """Two-sided p of a mean of zero; NaN where there is no pivot."""
        below, above = self.stretch
        error = self.error * np.where(self.estimate > 0, below, above)
        roots = np.divide(self.estimate, error, out=np.full_like(self.estimate, np.nan), where=~self.flat)
        return np.asarray(2 * stats.t.sf(np.abs(roots), self.freedom), np.float64)

    def p_outside(self, low: Array | float, high: Array | float) -> Array:
        """p of "the mean lies outside [low, high]": two one-sided tests (Schuirmann 1987); NaN without a pivot."""
        error = np.where(self.flat, np.nan, self.error)
        below, above = self.stretch
        beneath = stats.t.sf((self.estimate - low) / (below * error), self.freedom)
        beyond = stats.t.cdf((self.estimate - high) / (above * error), self.freedom)
        return np.maximum(beneath, beyond)


def stretch(skewness: Array | float, freedom: Array | float) -> Array:
    """How many times as far as Student's t an interval reaches on the long side (`STRETCH`)."""
    return 1 + STRETCH * np.abs(skewness) / (np.asarray(freedom) + 3)


def cell_mean(values: Array, weights: Array, related: Related, skewness: Array) -> Pivot:
    """The weighted mean of cell means, shapes as in `CellValues`.

    A cell of one run takes the pooled variance of the others, and several such cells of the same run their mean
    correlation (`_alone`); where no cell has two runs there is no error.
    """
    present = ~np.isnan(values[0])
    counts = present.sum(axis=1)
    free = counts - 1.0
    means = np.where(present, values, 0.0).sum(axis=2) / counts
    estimate, skewed = means @ weights, skewness @ weights
    if not bool((free > 0).any()):
        empty = np.full(len(values), np.nan)
        return Pivot(estimate, empty, empty, skewed)
    deviations = np.where(present, values - means[:, :, None], 0.0)
    repeated = np.maximum(free, 1.0)
    variances = (deviations**2).sum(axis=2) / repeated
    pooled = (variances * free).sum(axis=1) / free.sum()
    alone = _alone(deviations, pooled, weights, present, related)
    scores = deviations * (weights / np.sqrt((repeated + 1) * repeated))[:, None]
    total = _covariance(scores, related) + alone * pooled
    freedom = _freedom(variances, pooled, alone, weights, present, related)
    like = np.ones((1, len(weights)))
    apart = np.array([(weights[free == 0] ** 2).sum()])
    offered = float(_freedom(like, np.ones(1), apart, weights, present, related)[0])
    return Pivot(estimate, np.sqrt(total), freedom, skewed, offered)


def independent(cells: int) -> Related:
    """Cells that share nothing."""
    return np.eye(cells, dtype=np.bool_)


def blocks(related: Related) -> NDArray[np.intp]:
    """Which connected group of cells each cell belongs to, shape (cells,)."""
    if bool(related.all()):
        return np.zeros(len(related), np.intp)
    return np.asarray(connected_components(related, directed=False)[1], np.intp)


def _covariance(scores: Array, related: Related) -> Array:
    """Σ over runs and pairs of related cells. Where relation is not transitive the sum may be too small by chance, even
    negative; the sum over all pairs of a connected group is unbiased too, and the larger of the two is taken."""
    paired = np.einsum("mcr,mcr->m", scores, np.matmul(related.astype(float), scores))
    labels = blocks(related)
    groups = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    grouped = (np.matmul(groups.T, scores) ** 2).sum(axis=(1, 2))
    return np.maximum(paired, grouped)


def _alone(deviations: Array, pooled: Array, weights: Array, present: NDArray[np.bool_], related: Related) -> Array:
    """By how many pooled variances the cells of one run add to the variance of the mean, shape (measures,).

    Related ones of the same run vary together, as much as cells of several runs do that are related and share runs:
    their mean correlation, with one more observation of 1. Where there are none, that one is all that is known.
    """
    single, common = present.sum(axis=1) == 1, _common(present)
    if not single.any():
        return np.zeros(len(deviations))
    apart = float((weights[single] ** 2).sum())
    together = weights[single] @ (related & (common > 0))[np.ix_(single, single)] @ weights[single]
    pairs = np.triu(related & (common > 1), 1).astype(float)
    seen = (pairs * _overlap(present)).sum()
    products = np.einsum("mcr,mcr->m", deviations, np.matmul(pairs, deviations))
    alike = (np.divide(products, pooled, out=np.zeros_like(pooled), where=pooled > 0) + 1) / (seen + 1)
    return apart + np.clip(alike, 0, 1) * (together - apart)


def _common(present: NDArray[np.bool_]) -> Array:
    """Runs that two cells share, shape (cells, cells)."""
    return present.astype(float) @ present.astype(float).T


def _overlap(present: NDArray[np.bool_]) -> Array:
    """Expected sum of products of two cells' deviations, in units of their covariance, shape (cells, cells)."""
    n, common = present.sum(axis=1).astype(float), _common(present)
    return common * (1 - 1 / n[:, None] - 1 / n) + common**2 / (n[:, None] * n)


def _freedom(
    variances: Array, pooled: Array, alone: Array, weights: Array, present: NDArray[np.bool_], related: Related
) -> Array:
    """Satterthwaite: 2 E² ÷ Var of the variance estimate, rows taken as independent with their cell's variance."""
    counts = present.sum(axis=1).astype(float)
    free = counts - 1
    known = free > 0
    n, free = counts[known], free[known]
    moderated = (PRIOR_FREEDOM * pooled[:, None] + variances[:, known] * free) / (PRIOR_FREEDOM + free)
    shares = weights[known] ** 2 / n + alone[:, None] * free / free.sum()
    terms = shares * moderated
    parts = terms / free
    spread = ((parts @ (related[np.ix_(known, known)] * _overlap(present[known]))) * parts).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, terms.sum(axis=1) ** 2 / spread, free.sum())
