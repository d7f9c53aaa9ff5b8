"""Intervals for means and proportions of clustered data. Cluster: a learning run, the independent unit.

Arrays are cells × clusters: one value per learning run (the mean of its episodes). Which interval is used at which
number of clusters was chosen by simulated coverage (docs/calibration.md): the studentised cluster bootstrap from five
clusters on, Student's t on cluster means below; percentile and BCa under-cover at ten clusters and are kept to show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Bounds = tuple[Array, Array]

STUDENTISED_FROM = 5
"""Fewest clusters per stratum at which the studentised bootstrap is used: below, a resample often repeats one cluster."""
_CHUNK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; low and high are NaN where no interval can be given, and `method` says why."""

    estimate: float
    low: float
    high: float
    level: float
    method: str
    clusters: int


@dataclass(frozen=True)
class Layout:
    """How clusters are grouped in strata (tasks): every stratum weighs the same, every cluster the same within it."""

    strata: NDArray[np.int64]
    """Stratum of each cluster, shape (clusters,), in ascending order."""

    @classmethod
    def single(cls, clusters: int) -> Layout:
        """One stratum."""
        return cls(np.zeros(clusters, np.int64))

    @property
    def slices(self) -> list[slice]:
        """One slice of clusters per stratum."""
        starts = [0, *(np.flatnonzero(np.diff(self.strata)) + 1).tolist(), len(self.strata)]
        return [slice(a, b) for a, b in pairwise(starts)]

    @property
    def smallest(self) -> int:
        """Clusters in the smallest stratum."""
        return min(part.stop - part.start for part in self.slices)

    @property
    def weights(self) -> Array:
        """Weight of each cluster in the estimate, shape (clusters,), summing to 1."""
        parts = self.slices
        return np.concatenate([np.full(p.stop - p.start, 1 / (len(parts) * (p.stop - p.start))) for p in parts])

    def resample(self, rng: Generator, resamples: int) -> Array:
        """How often each cluster is drawn, shape (resamples, clusters): with replacement within strata."""
        sizes = [p.stop - p.start for p in self.slices]
        return np.hstack([rng.multinomial(size, np.full(size, 1 / size), size=resamples) for size in sizes]).astype(
            float
        )


def mean_and_error(values: Array, layout: Layout) -> tuple[Array, Array, Array]:
    """Estimate, standard error, Welch–Satterthwaite degrees of freedom, each (cells,), of values (cells, clusters)."""
    variances, freedoms = [], []
    for part in layout.slices:
        size = part.stop - part.start
        variances.append(values[:, part].var(axis=1, ddof=1) / size / len(layout.slices) ** 2)
        freedoms.append(size - 1)
    parts, free = np.array(variances), np.array(freedoms)[:, None]
    total = parts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(total > 0, total**2 / (parts**2 / free).sum(axis=0), free.sum())
    return values @ layout.weights, np.sqrt(total), freedom


def student(values: Array, layout: Layout, level: float) -> Bounds:
    """Student's t on cluster means."""
    estimate, error, freedom = mean_and_error(values, layout)
    reach = cast(Array, stats.t.ppf((1 + level) / 2, freedom)) * error
    return estimate - reach, estimate + reach


def studentised(values: Array, layout: Layout, level: float, draws: Array) -> Bounds:
    """Bootstrap-t over clusters (Efron & Tibshirani 1993, 12.5). `draws` (resamples, clusters) from `Layout.resample`."""
    estimate, error, _ = mean_and_error(values, layout)
    centred = values - _stratum_means(values, layout)
    shift = (centred * layout.weights) @ draws.T
    variance = np.zeros_like(shift)
    for part in layout.slices:
        size = part.stop - part.start
        first = centred[:, part] @ draws[:, part].T / size
        second = centred[:, part] ** 2 @ draws[:, part].T / size
        variance += np.maximum(second - first**2, 0) / (size - 1) / len(layout.slices) ** 2
    tiny = 1e-9 * (error[:, None] + 1e-300)
    flat = variance <= tiny**2
    roots = np.where(np.abs(shift) <= tiny, 0.0, np.copysign(np.inf, shift))
    np.divide(shift, np.sqrt(variance, out=variance), out=roots, where=~flat)
    low, high = _tails(roots, level)
    with np.errstate(invalid="ignore"):
        return estimate - np.where(error > 0, high * error, 0), estimate - np.where(error > 0, low * error, 0)


def percentile(values: Array, layout: Layout, level: float, draws: Array) -> Bounds:
    """Percentiles of the resampled means (under-covers with few clusters: see docs/calibration.md)."""
    return _tails((values * layout.weights) @ draws.T, level)


def bca(values: Array, layout: Layout, level: float, draws: Array) -> Bounds:
    """Bias-corrected and accelerated percentiles (Efron 1987), acceleration from the influence of each cluster."""
    estimate, _, _ = mean_and_error(values, layout)
    means = np.sort((values * layout.weights) @ draws.T, axis=1)
    below = (means < estimate[:, None]).mean(axis=1) + 0.5 * (means == estimate[:, None]).mean(axis=1)
    bias = stats.norm.ppf(np.clip(below, 1 / len(draws), 1 - 1 / len(draws)))
    influence = (values - _stratum_means(values, layout)) * layout.weights
    spread = (influence**2).sum(axis=1)
    skew = np.divide((influence**3).sum(axis=1), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0)
    bounds: list[Array] = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + stats.norm.ppf(tail)
        rank = stats.norm.cdf(bias + z / (1 - skew * z)) * (len(draws) + 1) - 1
        index = np.clip(rank.round().astype(int), 0, len(draws) - 1)
        bounds.append(means[np.arange(len(means)), index])
    return bounds[0], bounds[1]


BOOTSTRAPS: dict[str, Callable[[Array, Layout, float, Array], Bounds]] = {
    "percentile": percentile,
    "BCa": bca,
    "studentised": studentised,
}


def mean_intervals(
    values: Array,
    rng: Generator,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    layout: Layout | None = None,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> list[Interval]:
    """One interval per row of values (cells, clusters); NaN marks a learning run the cell lacks.

    With `layout` the clusters are stratified and no value may be missing. `limits` is the range of the quantity.
    """
    if layout is not None:
        return _same_size(values, layout, rng, resamples, level, limits)
    answers: list[Interval | None] = [None] * len(values)
    present = ~np.isnan(values)
    counts = present.sum(axis=1)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        if count == 0:
            found = [Interval(np.nan, np.nan, np.nan, level, "no data", 0)] * len(rows)
        else:
            packed = values[rows][present[rows]].reshape(len(rows), count)
            found = _same_size(packed, Layout.single(int(count)), rng, resamples, level, limits)
        for row, interval in zip(rows, found, strict=True):
            answers[row] = interval
    return [answer for answer in answers if answer is not None]


def _same_size(
    values: Array, layout: Layout, rng: Generator, resamples: int, level: float, limits: tuple[float, float]
) -> list[Interval]:
    clusters = values.shape[1]
    if layout.smallest < 2:
        reason = "no interval: 1 learning run" if clusters == 1 else "no interval: a task with 1 learning run"
        means = values @ layout.weights
        return [Interval(float(mean), np.nan, np.nan, level, reason, clusters) for mean in means]
    estimate, error, _ = mean_and_error(values, layout)
    low, high = student(values, layout, level)
    by_t = np.ones(len(values), bool)
    if layout.smallest >= STUDENTISED_FROM:
        draws = layout.resample(rng, resamples)
        step = max(1, _CHUNK // resamples)
        chunks = [studentised(values[i : i + step], layout, level, draws) for i in range(0, len(values), step)]
        boot_low, boot_high = (np.concatenate([chunk[side] for chunk in chunks]) for side in (0, 1))
        # a resample of equal clusters has no error: where that makes an end infinite it ends at the quantity's own limit
        finite = np.isfinite(np.maximum(boot_low, limits[0])) & np.isfinite(np.minimum(boot_high, limits[1]))
        by_t = ~finite
        low, high = np.where(finite, boot_low, low), np.where(finite, boot_high, high)
    low, high = np.maximum(low, limits[0]), np.minimum(high, limits[1])
    flat = error <= 1e-12 * np.maximum(1, np.abs(estimate))
    names = np.where(by_t, f"t on {clusters} learning-run means", f"studentised bootstrap of {clusters} learning runs")
    answers: list[Interval] = []
    for row, name in enumerate(names):
        ends = (np.nan, np.nan) if flat[row] else (float(low[row]), float(high[row]))
        told = f"no interval: all {clusters} learning runs gave the same value" if flat[row] else str(name)
        answers.append(Interval(float(estimate[row]), *ends, level, told, clusters))
    return answers


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of one proportion; `n` may be an effective number (episodes over design effect)."""
    if n <= 0:
        return np.nan, np.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - reach)), float(min(1.0, centre + reach))


def _stratum_means(values: Array, layout: Layout) -> Array:
    return np.hstack(
        [np.broadcast_to(values[:, p].mean(axis=1, keepdims=True), values[:, p].shape) for p in layout.slices]
    )


def _tails(draws: Array, level: float) -> Bounds:
    """Lower and upper tail of each row by order statistics of rank (n + 1)q, which tolerate infinities."""
    count = draws.shape[1]
    low = max(0, int(np.floor((count + 1) * (1 - level) / 2)) - 1)
    ordered = np.partition(draws, [low, count - 1 - low], axis=1)
    return ordered[:, low], ordered[:, count - 1 - low]
