"""Bounds for means of clustered values. Arrays are cells × clusters: one value per learning run.

A cluster is resampled whole, so that episodes sharing a learned pool stay together. `draws` (resamples, clusters) says
how often each cluster was drawn; one set of draws serves every cell with the same clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Bounds = tuple[Array, Array]


@dataclass(frozen=True)
class Resampler:
    """The generator, how many resamples are drawn, and the level of intervals."""

    rng: Generator
    resamples: int = 10_000
    level: float = 0.95


@dataclass(frozen=True)
class Strata:
    """How clusters are grouped in strata (tasks): every stratum weighs the same, every cluster the same within it."""

    strata: NDArray[np.int64]
    """Stratum of each cluster, shape (clusters,), in ascending order."""

    @classmethod
    def single(cls, clusters: int) -> Strata:
        """One stratum."""
        return cls(np.zeros(clusters, np.int64))

    @property
    def slices(self) -> list[slice]:
        """One slice of clusters per stratum."""
        starts = [0, *(np.flatnonzero(np.diff(self.strata)) + 1).tolist(), len(self.strata)]
        return [slice(a, b) for a, b in pairwise(starts)]

    @property
    def sizes(self) -> list[int]:
        """Clusters per stratum."""
        return [part.stop - part.start for part in self.slices]

    @property
    def weights(self) -> Array:
        """Weight of each cluster in the estimate, shape (clusters,), summing to 1."""
        return np.concatenate([np.full(size, 1 / (len(self.sizes) * size)) for size in self.sizes])

    def resample(self, by: Resampler) -> Array:
        """How often each cluster is drawn, shape (resamples, clusters): with replacement within strata."""
        drawn = [by.rng.multinomial(size, np.full(size, 1 / size), size=by.resamples) for size in self.sizes]
        return np.hstack(drawn).astype(float)

    def centred(self, values: Array) -> Array:
        """Values (cells, clusters) less the mean of their stratum."""
        return np.hstack([values[:, part] - values[:, part].mean(axis=1, keepdims=True) for part in self.slices])


def mean_and_error(values: Array, layout: Strata) -> tuple[Array, Array, Array]:
    """Estimate, standard error, Welch–Satterthwaite degrees of freedom, each (cells,), of values (cells, clusters)."""
    count = len(layout.slices)
    parts = np.array([values[:, p].var(axis=1, ddof=1) for p in layout.slices])
    free = np.array(layout.sizes)[:, None] - 1.0
    parts = parts / (free + 1) / count**2
    total = parts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(total > 0, total**2 / (parts**2 / free).sum(axis=0), free.sum())
    return values @ layout.weights, np.sqrt(total), freedom


def student(values: Array, layout: Strata, level: float) -> Bounds:
    """Student's t on cluster means."""
    estimate, error, freedom = mean_and_error(values, layout)
    reach = stats.t.ppf((1 + level) / 2, freedom) * error
    return estimate - reach, estimate + reach


def studentised(values: Array, layout: Strata, level: float, draws: Array) -> Bounds:
    """Bootstrap-t over clusters (Efron & Tibshirani 1993, 12.5).

    A resample of equal clusters has no error and an infinite root; an interval end made of such roots is infinite.
    """
    estimate, error, _ = mean_and_error(values, layout)
    centred = layout.centred(values)
    shift = (centred * layout.weights) @ draws.T
    variance = np.zeros_like(shift)
    for part, size in zip(layout.slices, layout.sizes, strict=True):
        first = centred[:, part] @ draws[:, part].T / size
        second = centred[:, part] ** 2 @ draws[:, part].T / size
        variance += np.maximum(second - first**2, 0) / (size - 1) / len(layout.slices) ** 2
    # equal up to rounding, which leaves some 1e-16 of a square
    flat = variance <= 1e-13 * error[:, None] ** 2
    roots = np.where(np.abs(shift) <= 1e-9 * error[:, None], 0.0, np.copysign(np.inf, shift))
    np.divide(shift, np.sqrt(variance), out=roots, where=~flat)
    low, high = tails(roots, level)
    with np.errstate(invalid="ignore"):
        return estimate - high * error, estimate - low * error


def percentile(values: Array, layout: Strata, level: float, draws: Array) -> Bounds:
    """Percentiles of the resampled means (under-covers with few clusters: docs/calibration.md)."""
    return tails((values * layout.weights) @ draws.T, level)


def bca(values: Array, layout: Strata, level: float, draws: Array) -> Bounds:
    """Bias-corrected and accelerated percentiles (Efron 1987), acceleration from the influence of each cluster."""
    estimate, _, _ = mean_and_error(values, layout)
    means = np.sort((values * layout.weights) @ draws.T, axis=1)
    # equal up to rounding: which kernel multiplied must not decide what ties with the estimate
    tied = np.abs(means - estimate[:, None]) <= 1e-9 * np.abs(values).max(axis=1, keepdims=True)
    below = ((means < estimate[:, None]) & ~tied).mean(axis=1) + 0.5 * tied.mean(axis=1)
    bias = stats.norm.ppf(np.clip(below, 1 / len(draws), 1 - 1 / len(draws)))
    influence = layout.centred(values) * layout.weights
    spread = (influence**2).sum(axis=1)
    skew = np.divide((influence**3).sum(axis=1), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0)
    bounds: list[Array] = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + stats.norm.ppf(tail)
        rank = stats.norm.cdf(bias + z / (1 - skew * z)) * (len(draws) + 1) - 1
        index = np.clip(np.round(rank).astype(int), 0, len(draws) - 1)
        bounds.append(means[np.arange(len(means)), index])
    return bounds[0], bounds[1]


def hierarchical(groups: list[Array], by: Resampler) -> tuple[float, float]:
    """Percentiles when learning runs and then the episodes within them are resampled; one array of episodes per run.

    Kept as a check: the second level adds within-run variance that the first already carries.
    """
    shape = (by.resamples, len(groups))
    means = np.stack(
        [part[by.rng.integers(0, len(part), (by.resamples, len(part)))].mean(axis=1) for part in groups], axis=1
    )
    # every drawn run takes its own resample of its episodes
    picked = means[by.rng.integers(0, by.resamples, shape), by.rng.integers(0, len(groups), shape)]
    low, high = tails(picked.mean(axis=1)[None, :], by.level)
    return float(low[0]), float(high[0])


def tails(draws: Array, level: float) -> Bounds:
    """Lower and upper tail of each row by order statistics of rank (n + 1)q, which tolerate infinities."""
    count = draws.shape[1]
    low = max(0, int(np.floor((count + 1) * (1 - level) / 2 + 1e-9)) - 1)
    ordered = np.partition(draws, [low, count - 1 - low], axis=1)
    return ordered[:, low], ordered[:, count - 1 - low]
