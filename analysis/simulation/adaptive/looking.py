"""Looking after every datum: how often tests that may be looked at err, and whether their sequences cover.

Every claim is looked at after each of MOST data. Promised are at most 6 % of claims (of families) without an effect
that ever decide anything, 94 % and more of sequences that hold the truth when the study stops, and at most 7 % wrong
verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from analysis.matrix.comparison.claims import Claim, Differences, Rule, log_within, stand
from analysis.matrix.contrasts import DECLARED
from analysis.simulation.data import FEW, MARGINS, Arms
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues
from analysis.statistics.sequential import BoundedTest, SequentialTest, SymmetricTest, log_e
from analysis.statistics.unseen import Pools, Unseen

MOST = 40
LOOK = 4
"""Learning runs from one look of a whole study to the next."""
DEAR = 8
"""So many times fewer whole studies are simulated than claims: each look of one takes a confidence sequence."""
FAMILIES = (1, 10, 60)
DECIDED = np.log(20.0)
EFFECT = 0.2
"""Added where coverage at the stopping time is asked for, so that many stop early."""
Draw = Callable[[Generator, int], NDArray[Any]]


@dataclass(frozen=True)
class Stream:
    """Differences of mean zero in [−1, 1], shape (simulations, MOST)."""

    name: str
    draw: Draw
    symmetric: bool = True
    """About zero: else the symmetric test answers another question than the mean's, and is not promised for it."""


def _alike(episode: Callable[[Generator, tuple[int, ...]], NDArray[Any]]) -> Draw:
    """Two arms that are alike, each the mean of a learning run's eight episodes."""

    def draw(rng: Generator, simulations: int) -> NDArray[Any]:
        first, second = (episode(rng, (simulations, MOST, 8)).mean(axis=2) for _ in range(2))
        return first - second

    return draw


def _exponential(rng: Generator, simulations: int) -> NDArray[Any]:
    """0.1 · (exponential − 1), cut at 9 and put right so that the mean is zero."""
    return 0.1 * (rng.exponential(size=(simulations, MOST)).clip(0, 8) - (1 - np.exp(-8.0)))


STREAMS = (
    Stream("normal", lambda rng, n: rng.normal(0, 0.15, (n, MOST)).clip(-0.8, 0.8)),
    Stream("t₃", lambda rng, n: (0.1 * rng.standard_t(3, (n, MOST))).clip(-0.8, 0.8)),
    Stream("−.8, 0 or .8", lambda rng, n: 0.8 * rng.integers(-1, 2, (n, MOST))),
    Stream("arms alike, solved .3", _alike(lambda rng, shape: (rng.random(shape) < 0.3) * 0.8)),
    Stream("arms alike, 90% zeros", _alike(lambda rng, shape: (rng.random(shape) < 0.1) * rng.random(shape))),
    Stream("arms alike, exponential", _alike(lambda rng, shape: 0.2 * rng.exponential(size=shape).clip(0, 4))),
    Stream("exponential less its mean", _exponential, symmetric=False),
    Stream("one in ten .72, the rest −.08", lambda rng, n: np.where(rng.random((n, MOST)) < 0.1, 0.72, -0.08), False),
)


def looking(rng: Generator, simulations: int) -> Iterator[Row]:
    """Every row."""
    for world in STREAMS:
        values = world.draw(rng, simulations)
        for name, test, promised in (
            ("symmetric e-process", SymmetricTest(-1.0, 1.0), world.symmetric),
            ("bets on a bounded mean", BoundedTest(-1.0, 1.0), True),
        ):
            ever = log_e(test, values, np.zeros(simulations)).max(axis=1) >= DECIDED
            yield row("e-test", name, world.name, MOST, ever, promised=promised)
            yield row("sequence", name, world.name, MOST, holds(test, values + EFFECT, EFFECT), promised=promised)
        few = values[:500]
        p = np.array([CellValues.single(few[:, :n]).pivot.p() for n in range(3, MOST + 1)])
        yield row("e-test", "t test after every datum", world.name, MOST, np.nan_to_num(p, nan=1.0).min(axis=0) <= 0.05)
    for size in FAMILIES:
        studies = max(50, min(simulations, 40_000 // size))
        values = rng.normal(0, 0.1, (studies, 1, MOST)) + rng.normal(0, 0.1, (studies, size, MOST))
        peaks = log_e(SymmetricTest(), values, np.zeros((studies, size))).max(axis=2).max(axis=1)
        # e-Holm's first step asks the largest to reach as many times 20 as there are claims
        ever = peaks >= DECIDED + np.log(size)
        yield row("e-test", f"e-Holm: any of {size} claims", "normal, shared reference", MOST, ever, promised=True)
    for arms in FEW:
        wrong = verdicts(rng, arms, simulations // DEAR, Rule())
        yield row("e-verdict", "adaptive study", arms.name, MOST, wrong != "undecided", promised=True)
    for arms, margin in MARGINS:
        wrong = verdicts(rng, arms, simulations // DEAR, Rule(margin=margin))
        name = "adaptive study: equivalent at the margin"
        yield row("e-verdict", name, arms.name, MOST, wrong == "equivalent", promised=True)


def stopping_time(test: SequentialTest, values: Array) -> NDArray[Any]:
    """Number of data after which "no difference" is decided, MOST where it never is; shape (simulations,)."""
    decided = log_e(test, values, np.zeros(len(values))) >= DECIDED
    return np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, values.shape[1])


def holds(test: SequentialTest, values: Array, truth: float) -> NDArray[Any]:
    """Whether the confidence sequence holds the truth when the study stops: no look up to then has rejected it."""
    until = stopping_time(test, values)
    true = log_e(test, values, np.full(len(values), truth))
    seen = np.arange(values.shape[1]) < until[:, None]
    return np.where(seen, true, -np.inf).max(axis=1) < DECIDED


def verdicts(rng: Generator, arms: Arms, simulations: int, rule: Rule) -> NDArray[Any]:
    """The verdict with which a study of one claim, own pool against none, ends at the latest after MOST runs."""
    treated, reference = arms.draw(rng, simulations, MOST)
    values, bare = (treated - reference).mean(axis=2), reference.mean(axis=2)
    tops = np.full(simulations, arms.top) if np.isfinite(arms.top) else np.maximum(treated, reference).max(axis=(1, 2))
    found = np.full(simulations, "undecided", dtype="<U10")
    peaks = np.maximum.accumulate(log_e(SymmetricTest(), values, np.zeros(simulations)), axis=1)
    for each in range(simulations):
        for n in range(LOOK, MOST + 1, LOOK):
            unseen = Unseen(Pools(n, float(tops[each] - bare[each, :n].mean())))
            data = Differences(values[each, :n], unseen=unseen, bounded=True)
            if peaks[each, n - 1] < DECIDED and log_within(data, data.values, rule).max() < DECIDED:
                continue  # neither claim can have been decided
            (standing,) = stand([Claim(DECLARED[0])], [data], rule)
            if standing.verdict != "undecided":
                found[each] = standing.verdict
                break
    return found
