"""Clustered data with known truth: what calibration and power simulate from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from analysis.matrix.reuse import expected_coverage
from analysis.statistics.bootstrap import Array

EPISODES = 20
"""Episodes per learning run in every world."""


@dataclass(frozen=True)
class World:
    """Episodes of learning runs whose true mean is known. `draw(rng, simulations, clusters)` gives (·, ·, EPISODES)."""

    name: str
    truth: float
    draw: Callable[[Generator, int, int], Array]


def normal(icc: float) -> World:
    """Total variance 1, of which the share `icc` lies between learning runs."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        between = rng.normal(0, np.sqrt(icc), (simulations, clusters, 1))
        return between + rng.normal(0, np.sqrt(1 - icc), (simulations, clusters, EPISODES))

    return World(f"normal, ICC {icc:g}", 0.0, draw)


def skewed(icc: float) -> World:
    """As `normal`, with pools that are mostly poor and rarely good (gamma, skewness 1.6) and exponential episodes."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        between = (rng.gamma(1.5, size=(simulations, clusters, 1)) - 1.5) / np.sqrt(1.5) * np.sqrt(icc)
        return between + (rng.exponential(size=(simulations, clusters, EPISODES)) - 1) * np.sqrt(1 - icc)

    return World(f"skewed, ICC {icc:g}", 0.0, draw)


def exchangeable(world: World) -> World:
    """Differences of two arms that are alike: the world less an independent copy of itself."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        return world.draw(rng, simulations, clusters) - world.draw(rng, simulations, clusters)

    return World(f"two equal arms, {world.name}", 0.0, draw)


def solved(share: float, icc: float) -> World:
    """Solved or not, beta-binomial: the learning runs' solve rates spread with intra-cluster correlation `icc`."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        rates = np.full((simulations, clusters, 1), share)
        if icc > 0:
            spread = (1 - icc) / icc
            rates = rng.beta(share * spread, (1 - share) * spread, (simulations, clusters, 1))
        return (rng.random((simulations, clusters, EPISODES)) < rates).astype(float)

    return World(f"solved {share:g}, ICC {icc:g}", share, draw)


def covered(units: int, selections: int) -> World:
    """Coverage of a pool by a random selector; the value of a run is repeated in place of its episodes."""

    def draw(rng: Generator, simulations: int, clusters: int) -> Array:
        picks = rng.integers(0, units, (simulations, clusters, selections))
        used = np.zeros((simulations, clusters, units))
        np.put_along_axis(used, picks, 1.0, axis=2)
        return np.repeat(used.mean(axis=2, keepdims=True), EPISODES, axis=2)

    return World(f"coverage, {units} units, {selections} calls", expected_coverage(selections, units), draw)


MEANS = (normal(0.1), normal(0.3), skewed(0.1))
SHARES = (solved(0.3, 0.1), solved(0.3, 0.3), solved(0.1, 0.1), solved(0.5, 0.3))
COVERAGES = (covered(10, 20), covered(10, 8))
NULLS = (exchangeable(normal(0.1)), exchangeable(normal(0.3)), exchangeable(skewed(0.1)))
STRESS = (skewed(0.3), solved(0.1, 0.3), solved(0.03, 0.3), covered(8, 20))
"""Worlds beyond what is promised: shown so that the limits are known."""
