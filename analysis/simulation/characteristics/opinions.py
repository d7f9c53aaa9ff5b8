"""How the gate's rank correlation covers, and how often the mixed model beside the verdicts errs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd

from analysis.matrix.learning.gate import rank_correlation
from analysis.matrix.robustness.second_opinions import mixed_model
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array, Resampler
from analysis.tables.run import CELL

CANDIDATES = 8
"""Of a learner that are scored."""


def opinions(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Every row at one number of learners, or of learning runs."""
    for relation, alike in product((0.5, 0.0), (0.5, 0.0)):
        # a share `alike` of both variances lies between learners, related as it is within them
        truth = float(6 / np.pi * np.arcsin(relation / 2))
        found = [rank_correlation(_candidates(by, clusters, relation, alike), by) for _ in range(simulations)]
        world = f"{CANDIDATES} candidates a learner, ρ {truth:.2f}, ICC {alike:g}"
        hits = np.array([each.low <= truth <= each.high for each in found])
        yield row("rate", "report: ΔJ's rank correlation", world, clusters, hits, promised=True)
        if not relation:
            said = np.array([each.low > 0 for each in found])
            yield row("test", "report: ΔJ said to predict", world, clusters, said, promised=True)
    p = np.array([mixed_model(_runs(by, clusters))["mixed_p"] for _ in range(2 * simulations // 5)], float)
    yield row("test", "mixed model, a second opinion", "3 normal cells that share pools", clusters, p <= 0.05)


def _candidates(by: Resampler, learners: int, relation: float, alike: float) -> pd.DataFrame:
    between = np.sqrt(alike) * _related(by, (learners, 1), relation)
    values = between + np.sqrt(1 - alike) * _related(by, (learners, CANDIDATES), relation)
    flat = {name: part.ravel() for name, part in zip(("delta_J", "gain"), values, strict=True)}
    return pd.DataFrame(flat | {"cluster": np.repeat(np.arange(learners), CANDIDATES)})


def _related(by: Resampler, shape: tuple[int, int], relation: float) -> Array:
    first, other = by.rng.normal(size=(2, *shape))
    return np.stack([first, relation * first + np.sqrt(1 - relation**2) * other])


def _runs(by: Resampler, runs: int) -> pd.DataFrame:
    """Differences of transferred pools and none, of three agents with the same pools, as the mixed model has them."""
    values = by.rng.normal(size=(3, runs)) + by.rng.normal(size=runs)
    rows = [
        ("transfer", "a", "t", agent, "t", run, values[k, run], 1)
        for k, agent in enumerate("bcd")
        for run in range(runs)
    ]
    return pd.DataFrame(rows, columns=[*CELL, "learning_run", "difference", "n"])
