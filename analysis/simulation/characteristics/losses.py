"""How often a report errs where one arm of two that are alike loses its worst episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator

from analysis.findings import Finding, finding, judge
from analysis.matrix.data_quality.missing import Gap, tell_missing
from analysis.simulation.data import EPISODES
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.cell_means import CellValues
from analysis.statistics.estimates import SHARE_DIFFERENCE, pooled_intervals
from analysis.statistics.significance import mean_test
from analysis.tables.run import CELL


@dataclass(frozen=True)
class Loss:
    """Returns in [0, 1] of two arms that are alike, and the chance that a treated episode of some return is lost."""

    name: str
    draw: Callable[[Generator, tuple[int, ...]], Array]
    lost: Callable[[Array], Array]


LOSSES = (
    Loss(
        "arms alike; treated returns below .3 are lost",
        lambda rng, shape: rng.beta(2, 2, shape),
        lambda returns: np.where(returns < 0.3, 1.0, 0.0),
    ),
    Loss(
        "arms alike, solved .5; three in ten treated failures are lost",
        lambda rng, shape: (rng.random(shape) < 0.5).astype(float),
        lambda returns: np.where(returns < 0.5, 0.3, 0.0),
    ),
)


def losses(by: Resampler, simulations: int, clusters: int) -> Iterator[Row]:
    """Every row at one number of clusters: own pool against none, a family of one."""
    for world in LOSSES:
        treated, reference = world.draw(by.rng, (2, simulations, clusters, EPISODES))
        treated[by.rng.random(treated.shape) < world.lost(treated)] = np.nan
        claims = CellValues.single(np.nanmean(treated - reference, axis=2)).pivot.p() <= 0.05
        yield row("test", "t test on the episodes that are there", world.name, clusters, claims)
        found = [_reported(*arms, by) for arms in zip(treated[claims], reference[claims], strict=True)]
        wrong = np.zeros(simulations)
        wrong[claims] = [each.verdict != "undecided" for each in found]
        yield row("verdict", "report", world.name, clusters, wrong, promised=True)
        ends = [_lacks(*arms).interval(by.level) for arms in zip(treated, reference, strict=True)]
        hits = np.array([low <= 0 <= high for low, high in ends])
        yield row("rate", "report: worst case of what is missing", world.name, clusters, hits, promised=True)


def _reported(treated: Array, reference: Array, by: Resampler) -> Finding:
    """What a report says of treated episodes (runs, EPISODES), NaN where lost, against none."""
    cells = CellValues.single(np.nanmean(treated - reference, axis=1))
    interval, test = pooled_intervals(cells, by, SHARE_DIFFERENCE)[0], mean_test(cells)
    found = finding("contrast", "return", "own pool − no memory", interval, test, key="self-none")
    return tell_missing(judge(found, test.p, "1 contrast", "Holm"), _lacks(treated, reference), finished=True)


def _lacks(treated: Array, reference: Array) -> Gap:
    """What is missing, and the least and the largest difference that each learning run can have."""
    low, high = (np.nan_to_num(treated, nan=end).mean(axis=1) - reference.mean(axis=1) for end in (0.0, 1.0))
    cell = dict(zip(CELL, ("self", "a", "t", "a", "t"), strict=True))
    runs = pd.DataFrame({"learning_run": range(len(low)), "low": low, "high": high, "n": treated.shape[1]})
    missing = {"self": int(np.isnan(treated).sum()), "none": 0}
    ends = float(low.mean()), float(high.mean())
    return Gap(dict.fromkeys(missing, treated.size), missing, *ends, runs.assign(**cell))
