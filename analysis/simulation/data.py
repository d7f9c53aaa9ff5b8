"""Clustered data with known truth: what calibration and power simulate from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from analysis.matrix.reuse.coverage import expected_coverage
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues

EPISODES = 20
"""Episodes per learning run in every world."""


@dataclass(frozen=True)
class DataModel:
    """Episodes of learning runs whose true mean is known. `draw(rng, simulations, clusters)` gives (·, ·, EPISODES)."""

    name: str
    truth: float
    draw: Callable[[Generator, int, int], Array]


def normal(icc: float) -> DataModel:
    """Total variance 1, of which the share `icc` lies between learning runs."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        between = rng.normal(0, np.sqrt(icc), (simulations, clusters, 1))
        return between + rng.normal(0, np.sqrt(1 - icc), (simulations, clusters, EPISODES))

    return DataModel(f"normal, ICC {icc:g}", 0.0, draw)


def skewed(icc: float) -> DataModel:
    """As `normal`, with pools that are mostly poor and rarely good (gamma, skewness 1.6) and exponential episodes."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        between = (rng.gamma(1.5, size=(simulations, clusters, 1)) - 1.5) / np.sqrt(1.5) * np.sqrt(icc)
        return between + (rng.exponential(size=(simulations, clusters, EPISODES)) - 1) * np.sqrt(1 - icc)

    return DataModel(f"skewed, ICC {icc:g}", 0.0, draw)


def exchangeable(world: DataModel) -> DataModel:
    """Differences of two arms that are alike: the world less an independent copy of itself."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        return world.draw(rng, simulations, clusters) - world.draw(rng, simulations, clusters)

    return DataModel(f"two equal arms, {world.name}", 0.0, draw)


def solved(share: float, icc: float) -> DataModel:
    """Solved or not, beta-binomial: the learning runs' solve rates spread with intra-cluster correlation `icc`."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        rates = np.full((simulations, clusters, 1), share)
        if icc > 0:
            spread = (1 - icc) / icc
            rates = rng.beta(share * spread, (1 - share) * spread, (simulations, clusters, 1))
        return (rng.random((simulations, clusters, EPISODES)) < rates).astype(float)

    return DataModel(f"solved {share:g}, ICC {icc:g}", share, draw)


def two_heaps(share: float, low: float = 0.02, high: float = 0.95) -> DataModel:
    """Solved or not: the share of learning runs whose pool works solves at rate `high`, the others at `low`."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        rates = np.where(rng.random((simulations, clusters, 1)) < share, high, low)
        return (rng.random((simulations, clusters, EPISODES)) < rates).astype(float)

    return DataModel(f"{share:.0%} of pools solve {high:g}, else {low:g}", share * high + (1 - share) * low, draw)


def zero_inflated(share: float = 0.1) -> DataModel:
    """Returns of which all but a share are exactly 0, the rest exponential; half the variance between runs."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        shape = (simulations, clusters, EPISODES)
        level = rng.gamma(2.0, 0.5, (simulations, clusters, 1))
        return np.where(rng.random(shape) < share, level * rng.exponential(size=shape), 0.0)

    return DataModel(f"{1 - share:.0%} zeros", share, draw)


def centred(world: DataModel) -> DataModel:
    """The world less its mean: differences that are zero on average."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        return world.draw(rng, simulations, clusters) - world.truth

    return DataModel(f"{world.name}, less their mean", 0.0, draw)


def cell_of(episodes: Array) -> CellValues:
    """One cell as a report sees it: means of runs, skewness of all `episodes` (simulations, clusters, EPISODES)."""
    values = episodes.reshape(len(episodes), -1)
    deviations, n = values - values.mean(axis=1, keepdims=True), values.shape[1]
    second, third = ((deviations**power).mean(axis=1) for power in (2, 3))
    plain = np.divide(third, second**1.5, out=np.zeros_like(third), where=second > 1e-20)
    return CellValues.single(episodes.mean(axis=2), plain * np.sqrt(n * (n - 1)) / (n - 2))


def covered(units: int, selections: int) -> DataModel:
    """Coverage of a pool by a random selector; the value of a run is repeated in place of its episodes."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        picks = rng.integers(0, units, (simulations, clusters, selections))
        used = np.zeros((simulations, clusters, units))
        np.put_along_axis(used, picks, 1.0, axis=2)
        return np.repeat(used.mean(axis=2, keepdims=True), EPISODES, axis=2)

    return DataModel(f"coverage, {units} units, {selections} calls", expected_coverage(selections, units), draw)


@dataclass(frozen=True)
class Arms:
    """Two arms of one cell whose true mean difference is known.

    `draw(rng, simulations, clusters)` gives the treatment's and the reference's episodes, each (·, ·, EPISODES).
    """

    name: str
    truth: float
    draw: Callable[[Generator, int, int], tuple[Array, Array]]
    top: float = np.inf
    """Highest possible return; infinite where none is known, and the highest seen stands in for it."""


def shifted(effect: float, icc: float = 0.3) -> Arms:
    """Normal arms, the treatment `effect` better in the mean."""

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        treated, reference = (normal(icc).draw(rng, simulations, clusters) for _ in range(2))
        return treated + effect, reference

    return Arms(f"normal arms, difference {effect:g}", effect, draw)


def few_work(share: float, gain: float = 0.0, icc: float = 0.5) -> Arms:
    """A share of pools works, the others do not.

    Without a `gain` the others harm so much that the mean difference is 0 (total variance 1, of which `icc` lies
    between runs); with one they do nothing.
    """

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        works = rng.random((simulations, clusters, 1)) < share
        size = np.sqrt(icc / (share * (1 - share)))
        effects = works * gain if gain else np.where(works, (1 - share) * size, -share * size)
        noise = np.sqrt((1 - icc) / 2) if not gain else 0.1
        shape = (simulations, clusters, EPISODES)
        return effects + rng.normal(0, noise, shape), rng.normal(0, noise, shape)

    what = f"gain {gain:g}, the others nothing" if gain else "work, mean difference 0"
    return Arms(f"{share:.0%} of pools {what}", share * gain, draw, gain + 0.5 if gain else np.inf)


def mirrored(arms: Arms, name: str) -> Arms:
    """The arms turned round: what worked ruins, and what harmed helps."""

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        treated, reference = arms.draw(rng, simulations, clusters)
        return -treated, -reference

    return Arms(name, -arms.truth, draw)


def few_ruin(share: float) -> Arms:
    """A share of pools ruins, the others help so much that the mean difference is 0."""
    return mirrored(few_work(share), f"{share:.0%} of pools ruin, mean difference 0")


def few_solve(reference: float, share: float, high: float, low: float) -> Arms:
    """Solved or not: a share of pools solves at `high`, the others at `low`, against `reference` without a pool."""

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        treated = two_heaps(share, low, high).draw(rng, simulations, clusters)
        return treated, (rng.random(treated.shape) < reference).astype(float)

    truth = share * high + (1 - share) * low - reference
    return Arms(f"solved: none {reference:g}; {share:.0%} of pools {high:g}, else {low:g}", round(truth, 12), draw, 1.0)


def lognormal(sigma: float = 1.0) -> Arms:
    """Run effects lognormal about a mean of 0."""

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        effects = rng.lognormal(0, sigma, (simulations, clusters, 1)) - np.exp(sigma**2 / 2)
        shape = (simulations, clusters, EPISODES)
        return effects + rng.normal(0, 0.7, shape), rng.normal(0, 0.7, shape)

    return Arms(f"lognormal run effects (σ {sigma:g})", 0.0, draw)


def uneven_arms() -> Arms:
    """Exponential run effects, the treatment's SD 1 and the reference's .1, the same mean."""

    def draw(rng: Generator, simulations: int, clusters: int) -> tuple[Array, Array]:
        shape = (simulations, clusters, 1)
        noise = rng.normal(0, 0.2, (2, simulations, clusters, EPISODES))
        return rng.exponential(size=shape) + noise[0], 0.9 + 0.1 * rng.exponential(size=shape) + noise[1]

    return Arms("exponential arms, SD 1 and 0.1", 0.0, draw)


MEANS = (normal(0.1), normal(0.3), skewed(0.1), skewed(0.3), zero_inflated(0.3), zero_inflated(0.1))
SHARES = tuple(solved(share, icc) for share in (0.02, 0.1, 0.3, 0.5) for icc in (0.0, 0.1, 0.3))
HEAPS = (two_heaps(0.5), two_heaps(0.3), two_heaps(0.1))
COVERAGES = (covered(10, 20), covered(10, 8))
NULLS = (
    *(exchangeable(world) for world in (normal(0.1), normal(0.3), skewed(0.1), zero_inflated(), solved(0.1, 0.1))),
    skewed(0.1),
    skewed(0.3),
    centred(zero_inflated()),
)
"""Arms that are alike; and pools that help and harm so that only their mean effect is zero."""
STRESS = (covered(8, 20),)
"""Worlds beyond what is promised: shown so that the limits are known."""
FEW = (
    few_work(0.05),
    few_work(0.1),
    few_work(0.2),
    lognormal(),
    uneven_arms(),
    few_solve(0.1, 0.1, 0.91, 0.01),
    few_solve(0.3, 0.3, 0.93, 0.03),
)
"""Arms whose mean difference is 0 though most pools harm a little and a few do much."""
UNGUARDED = (few_ruin(0.1),)
RUINOUS = (*UNGUARDED, few_ruin(0.05), few_ruin(0.2), mirrored(lognormal(), "lognormal run effects (σ 1), mirrored"))
"""Arms whose mean difference is 0 though most pools help a little and a few ruin: “better” of few runs is given on an
assumption there, and says so."""
MARGINS = ((shifted(0.5), 0.5), (few_work(0.1, 1.0), 0.1), (few_work(0.05, 2.0), 0.1), (few_work(0.2, 0.5), 0.1))
"""Arms whose difference lies exactly at the margin beside them."""
UNEQUAL = ((10, 10), (10, 5), (10, 3), (10, 2), (10, 1), (30, 3), (6, 1), (10, 2, 2, 2), (10, 10, 1, 1, 1, 1))
"""Learning runs of the agents of one task, of whom some stopped early."""
