"""Estimates with intervals for clustered data; the cluster is the learning run, the independent unit.

Which interval is used where was chosen by simulated coverage (docs/calibration.md): the studentised cluster bootstrap
from five clusters on, Student's t on cluster means below; for shares Wilson's interval on the effective number of
observations, unless many runs sit at 0 or 1. Percentile and BCa under-cover at ten clusters and are not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics.bootstrap import Array, Bounds, Layout, Resampler, mean_and_error, student, studentised

STUDENTISED_FROM = 5
"""Fewest clusters per stratum for the studentised bootstrap: below, too many resamples repeat one cluster."""
EDGE = 0.4
"""Share of learning runs at exactly 0 or 1 above which a share is studentised: runs then differ more than Wilson's
binomial shape allows, and its interval under-covers."""
_CHUNK = 2_000_000
"""Numbers held at once per working array of the bootstrap."""


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
class Scale:
    """The range of a quantity, and whether its cluster values are fine enough to studentise."""

    low: float = -np.inf
    high: float = np.inf
    fine: bool = True
    """False for shares of a few stored units: their ties make bootstrap errors vanish and intervals explode."""

    @property
    def share(self) -> bool:
        """Whether it is a share, in [0, 1]."""
        return (self.low, self.high) == (0.0, 1.0)


REAL, POSITIVE = Scale(), Scale(low=0.0)
SHARE, SHARE_DIFFERENCE = Scale(0.0, 1.0), Scale(-1.0, 1.0)
COVERAGE, CORRECTED = Scale(0.0, 1.0, fine=False), Scale(high=1.0, fine=False)


def mean_intervals(values: Array, by: Resampler, scale: Scale = REAL) -> list[Interval]:
    """One interval per row of values (cells, clusters); NaN marks a learning run the cell lacks."""
    answers: dict[int, Interval] = {}
    present = ~np.isnan(values)
    counts = present.sum(axis=1)
    for count in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == count)
        if count == 0:
            found = [Interval(np.nan, np.nan, np.nan, by.level, "no data", 0)] * len(rows)
        else:
            packed = values[rows][present[rows]].reshape(len(rows), count)
            found = stratified_intervals(packed, Layout.single(count), by, scale)
        answers.update(zip(rows.tolist(), found, strict=True))
    return [answers[row] for row in range(len(values))]


def stratified_intervals(values: Array, layout: Layout, by: Resampler, scale: Scale = REAL) -> list[Interval]:
    """As `mean_intervals` for clusters in strata; every value must be present."""
    clusters = values.shape[1]
    if min(layout.sizes) < 2:
        reason = "no interval: 1 learning run" if clusters == 1 else "no interval: a task with 1 learning run"
        means = values @ layout.weights
        return [Interval(float(mean), np.nan, np.nan, by.level, reason, clusters) for mean in means]
    estimate, error, _ = mean_and_error(values, layout)
    flat = error <= 1e-12 * np.maximum(1, np.abs(estimate))
    (low, high), name = _simple(values, layout, by.level, scale)
    names = np.full(len(values), f"{name} of {clusters} learning runs", dtype=object)
    wanted = scale.fine & ~flat & (min(layout.sizes) >= STUDENTISED_FROM)
    if scale.share:
        wanted &= ((values <= 0) | (values >= 1)).mean(axis=1) > EDGE
    if wanted.any():
        boot_low, boot_high = _studentised(values[wanted], layout, by)
        boot_low, boot_high = np.fmax(boot_low, scale.low), np.fmin(boot_high, scale.high)
        good = np.isfinite(boot_low) & np.isfinite(boot_high)
        rows = np.flatnonzero(wanted)[good]
        low[rows], high[rows] = boot_low[good], boot_high[good]
        names[rows] = f"studentised bootstrap of {clusters} learning runs"
    low, high = np.maximum(low, scale.low), np.minimum(high, scale.high)
    if not scale.share:
        low, high = np.where(flat, np.nan, low), np.where(flat, np.nan, high)
        names[flat] = f"no interval: all {clusters} learning runs gave the same value"
    lines = zip(estimate.tolist(), low.tolist(), high.tolist(), names.tolist(), strict=True)
    return [Interval(mean, left, right, by.level, str(told), clusters) for mean, left, right, told in lines]


def wilson(share: Array, n: Array, quantile: Array | float) -> Bounds:
    """Wilson's interval of proportions `share` of `n` observations; arrays broadcast. `quantile`: 1.96 for 95 %."""
    square = quantile**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    inner = np.maximum(share * (1 - share) / n + square / (4 * n**2), 0)
    reach = quantile / (1 + square / n) * np.sqrt(inner)
    return np.maximum(0.0, centre - reach), np.minimum(1.0, centre + reach)


def effective_wilson(values: Array, layout: Layout, level: float) -> Bounds:
    """Wilson's interval on the effective number of observations p(1 − p)/SE², with Student's quantile.

    After Korn & Graubard (1998): SE is that of the cluster means, so that any design effect is in it. Where all
    clusters agree the design effect cannot be seen and every cluster counts as one observation.
    """
    share, error, freedom = mean_and_error(values, layout)
    seen = (error > 1e-12) & (share > 0) & (share < 1)
    effective = np.divide(share * (1 - share), error**2, out=np.full_like(share, values.shape[1]), where=seen)
    return wilson(share, effective, stats.t.ppf((1 + level) / 2, freedom))


def trimmed_mean(values: Array) -> float:
    """Interquartile mean: the mean of the middle half (scipy.stats.trim_mean with .25) of all values."""
    return float(stats.trim_mean(values, 0.25))


def interquartile_mean(values: Array, layout: Layout, by: Resampler) -> Interval:
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
    if a <= 0 or b**2 < a * c:
        return Interval(np.nan, np.nan, np.nan, level, reason, clusters)
    root = float(np.sqrt(b**2 - a * c))
    return Interval(top / bottom, (b - root) / a, (b + root) / a, level, f"Fieller, {clusters} learning runs", clusters)


def _simple(values: Array, layout: Layout, level: float, scale: Scale) -> tuple[Bounds, str]:
    if scale.share:
        return effective_wilson(values, layout, level), "Wilson on the effective number"
    return student(values, layout, level), "t on the means"


def _studentised(values: Array, layout: Layout, by: Resampler) -> Bounds:
    draws = layout.resample(by)
    step = max(1, _CHUNK // by.resamples)
    chunks = [studentised(values[i : i + step], layout, by.level, draws) for i in range(0, len(values), step)]
    return np.concatenate([low for low, _ in chunks]), np.concatenate([high for _, high in chunks])
