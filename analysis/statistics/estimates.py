"""Estimates with intervals for clustered data; the cluster is the learning run, the independent unit.

Which interval is used where was chosen by simulated coverage (docs/calibration.md): the pivot of `cell_means` for means
and differences, a beta-binomial likelihood for rates of counted outcomes in one cell, Wilson's interval on the
effective number for other shares. Percentile, BCa and studentised bootstraps are not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.bootstrap import Array, Bounds, Resampler, Strata
from analysis.statistics.cell_means import CellValues, Pivot
from analysis.statistics.rates import near_edge, rate_interval


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; low and high are NaN where no interval can be given, and `method` says why."""

    estimate: float
    low: float
    high: float
    level: float
    method: str
    clusters: int
    freedom: float = np.nan
    """Degrees of freedom of the pivot behind it; NaN where there is none."""
    error: float = np.nan
    """Standard error of that pivot."""
    skewness: float = 0.0
    """Skewness of the values behind it, which moves one end outwards."""
    offered: float = np.nan
    """Degrees of freedom that the design offers, whatever the data."""


@dataclass(frozen=True)
class Scale:
    """The range of a quantity, which no interval of it leaves."""

    low: float = -np.inf
    high: float = np.inf

    @property
    def share(self) -> bool:
        """Whether it is a share, in [0, 1]."""
        return (self.low, self.high) == (0.0, 1.0)


UNMET = "pools of another kind may be unmet"
"""In the method of a rate whose interval allows for them."""
NOTABLE_STRETCH = 1.25
"""Stretch of an end for skewness from which on it is spoken of."""
REAL, POSITIVE = Scale(), Scale(low=0.0)
SHARE, SHARE_DIFFERENCE = Scale(0.0, 1.0), Scale(-1.0, 1.0)
CORRECTED = Scale(high=1.0)


def mean_intervals(
    values: Array,
    by: Resampler,
    scale: Scale = REAL,
    trials: Array | None = None,
    *,
    skewness: Array | float = 0.0,
    learned: NDArray[np.bool_] | bool = False,
) -> list[Interval]:
    """One interval per row of values (cells, runs); NaN marks a learning run the cell lacks.

    `trials`, of the same shape, says how many outcomes of 0 or 1 each value is the mean of: their rate gets the
    beta-binomial interval. Per row, or one for all: `skewness` of the single values behind the runs, and whether the
    runs hold `learned` pools (of which good ones may be unmet).
    """
    answers: dict[int, Interval] = {}
    skewness, learned = np.broadcast_to(skewness, len(values)), np.broadcast_to(learned, len(values))
    present = ~np.isnan(values)
    counts = present.sum(axis=1)
    for count in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == count)
        if count == 0:
            found = [Interval(np.nan, np.nan, np.nan, by.level, "no data", 0)] * len(rows)
        else:
            packed = values[rows][present[rows]].reshape(len(rows), count)
            if trials is None:
                found = pooled_intervals(CellValues.single(packed, skewness[rows]), by, scale)
            else:
                found = _rates(packed, trials[rows][present[rows]].reshape(len(rows), count), learned[rows], by)
        answers.update(zip(rows.tolist(), found, strict=True))
    return [answers[row] for row in range(len(values))]


def pooled_intervals(cells: CellValues, by: Resampler, scale: Scale = REAL) -> list[Interval]:
    """One interval per measure: the weighted mean over cells."""
    pivot, clusters = cells.pivot, cells.clusters
    low, high = pivot.interval(by.level)
    names = [_method(cells, pivot, row) for row in range(len(pivot.freedom))]
    if scale.share and not np.isnan(pivot.error).any():
        low, high = effective_wilson(pivot, clusters, by.level)
        names = [f"Wilson on the effective number of {clusters} learning runs"] * len(names)
    low, high = np.maximum(low, scale.low), np.minimum(high, scale.high)
    ends = zip(pivot.estimate.tolist(), low.tolist(), high.tolist(), names, strict=True)
    error = np.where(pivot.flat, np.nan, pivot.error)
    behind = zip(pivot.freedom.tolist(), error.tolist(), pivot.skewness.tolist(), strict=True)
    return [
        Interval(
            *(mean, left, right, by.level, how if np.isfinite(left) else _no_interval(cells), clusters),
            *(*pivotal, pivot.offered),
        )
        for (mean, left, right, how), pivotal in zip(ends, behind, strict=True)
    ]


def wilson(share: Array, n: Array, quantile: Array | float) -> Bounds:
    """Wilson's interval of proportions `share` of `n` observations; arrays broadcast. `quantile`: 1.96 for 95 %."""
    square = quantile**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    inner = np.maximum(share * (1 - share) / n + square / (4 * n**2), 0)
    reach = quantile / (1 + square / n) * np.sqrt(inner)
    return np.maximum(0.0, centre - reach), np.minimum(1.0, centre + reach)


def effective_wilson(pivot: Pivot, clusters: int, level: float) -> Bounds:
    """Wilson's interval on the effective number of observations p(1 − p)/SE², with Student's quantile.

    After Korn & Graubard (1998): SE is that of the cluster means, so that any design effect is in it. Where all
    clusters agree the design effect cannot be seen and every cluster counts as one observation.
    """
    share = pivot.estimate
    seen = ~pivot.flat & (share > 0) & (share < 1)
    effective = np.divide(share * (1 - share), pivot.error**2, out=np.full_like(share, clusters), where=seen)
    return wilson(share, effective, stats.t.ppf((1 + level) / 2, pivot.freedom))


def trimmed_mean(values: Array) -> float:
    """Interquartile mean: the mean of the middle half (scipy.stats.trim_mean with .25) of all values."""
    return float(stats.trim_mean(values, 0.25))


def interquartile_mean(values: Array, layout: Strata, by: Resampler) -> Interval:
    """Interquartile mean of values (clusters, columns): one column, or one per task where clusters span tasks.

    Interval: t with Σ(runs − 1) degrees of freedom around the stratified bootstrap's standard error, deviations within
    a stratum widened by √(G/(G − 1)) because a resample of G values spreads less than its source (Rao & Wu 1988).
    """
    clusters, estimate = len(values), trimmed_mean(values.ravel())
    if min(layout.sizes) < 2:
        return Interval(estimate, np.nan, np.nan, by.level, "no interval: a task with 1 learning run", clusters)
    picks: list[Array] = []
    for part, size in zip(layout.slices, layout.sizes, strict=True):
        middle = values[part].mean(axis=0)
        widened = middle + np.sqrt(size / (size - 1)) * (values[part] - middle)
        picks.append(widened[by.rng.integers(0, size, (by.resamples, size))].reshape(by.resamples, -1))
    error = float(np.std(stats.trim_mean(np.hstack(picks), 0.25, axis=1)))
    reach = float(stats.t.ppf((1 + by.level) / 2, clusters - len(layout.sizes))) * error
    return Interval(estimate, estimate - reach, estimate + reach, by.level, "t with stratified bootstrap SE", clusters)


def fieller(numerator: Array, denominator: Array, level: float = 0.95) -> Interval:
    """Ratio of two paired cluster means (clusters,) with Fieller's (1954) interval.

    Suppressed (NaN) where the denominator's own interval covers 0: the ratio is then unbounded.
    """
    clusters, reason = len(numerator), "suppressed: the denominator's interval covers 0"
    if clusters < 2:
        return Interval(np.nan, np.nan, np.nan, level, "no interval: 1 learning run", clusters)
    top, bottom = float(numerator.mean()), float(denominator.mean())
    (v_top, joint), (_, v_bottom) = (np.cov(numerator, denominator) / clusters).tolist()
    square = float(stats.t.ppf((1 + level) / 2, clusters - 1)) ** 2
    a, b, c = bottom**2 - square * v_bottom, top * bottom - square * joint, top**2 - square * v_top
    if a <= 0:
        return Interval(np.nan, np.nan, np.nan, level, reason, clusters)
    root = float(np.sqrt(max(b**2 - a * c, 0.0)))  # never below 0 where a is above it, but for rounding
    return Interval(top / bottom, (b - root) / a, (b + root) / a, level, f"Fieller, {clusters} learning runs", clusters)


def _rates(values: Array, trials: Array, learned: NDArray[np.bool_], by: Resampler) -> list[Interval]:
    clusters = values.shape[1]
    low, high = rate_interval(values * trials, trials, by.level, learned)
    names = np.where(
        near_edge(values) & learned,
        f"Clopper–Pearson, {clusters} learning runs as one trial each: {UNMET}",
        f"beta-binomial likelihood of {clusters} learning runs",
    )
    means = values.mean(axis=1).tolist()
    if clusters < 2:
        return [Interval(mean, np.nan, np.nan, by.level, "no interval: 1 learning run", clusters) for mean in means]
    lines = zip(means, low.tolist(), high.tolist(), names.tolist(), strict=True)
    return [Interval(mean, left, right, by.level, name, clusters) for mean, left, right, name in lines]


def _method(cells: CellValues, pivot: Pivot, row: int) -> str:
    count, farther = cells.values.shape[1], max(float(side[row]) for side in pivot.stretch)
    name = f"t on the means of {cells.clusters} learning runs"
    if count > 1:
        freedom = f"{float(pivot.freedom[row]):.1f} degrees of freedom"
        name = f"t on the means of {count} cells, {cells.clusters} learning runs, {freedom}"
    if farther < NOTABLE_STRETCH:
        return name
    end = "upper" if pivot.skewness[row] > 0 else "lower"
    return f"{name}; {end} end {farther:.1f} times as far for a skewness of {float(pivot.skewness[row]):.1f}"


def _no_interval(cells: CellValues) -> str:
    if cells.clusters == 1:
        return "no interval: 1 learning run"
    if bool(((~np.isnan(cells.values[0])).sum(axis=1) < 2).all()):
        return "no interval: no cell has two learning runs"
    return f"no interval: all {cells.clusters} learning runs gave the same value"
