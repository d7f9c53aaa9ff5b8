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

from analysis.matrix.comparison.claims import Claim, evidence_within, stand
from analysis.matrix.comparison.rule import Differences, Rule
from analysis.matrix.contrasts import DECLARED
from analysis.simulation.data import FEW, MARGINS, Arms
from analysis.simulation.rows import Row, row
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues
from analysis.statistics.sequential.e_processes import BoundedTest, SymmetricTest
from analysis.statistics.sequential.sequential_test import SequentialTest, settled_at
from analysis.statistics.sequential.sign_flips import SignFlips
from analysis.statistics.unseen import Pools, Unseen

MOST = 40
LOOK = 4
"""Learning runs from one look of a whole study to the next."""
DEAR = 8
"""So many times fewer whole studies are simulated than claims: each look of one takes a confidence sequence."""
CHUNK = 250
"""Simulations of sign flips at a time, which hold a chance for every sum."""
FLIPS = "sign flips"
FAMILIES = (1, 10, 60)
DECIDED = np.log(20.0) - 1e-9
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
            ever = test.two_sided(values, np.zeros(simulations)).max(axis=1) >= DECIDED
            yield row("e-test", name, world.name, MOST, ever, promised=promised)
            yield row("sequence", name, world.name, MOST, holds(test, values + EFFECT, EFFECT), promised=promised)
        few = values[:500]
        p = np.array([CellValues.single(few[:, :n]).pivot.p() for n in range(3, MOST + 1)])
        yield row("e-test", "t test after every datum", world.name, MOST, np.nan_to_num(p, nan=1.0).min(axis=0) <= 0.05)
    for size in FAMILIES:
        studies = max(50, min(simulations, 40_000 // size))
        values = rng.normal(0, 0.1, (studies, 1, MOST)) + rng.normal(0, 0.1, (studies, size, MOST))
        peaks = SymmetricTest().two_sided(values, np.zeros((studies, size))).max(axis=2).max(axis=1)
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


def planned(rng: Generator, simulations: int) -> Iterator[Row]:
    """The rows of sign flips that spend their level over MOST data: a part that can be simulated anew alone."""
    test = SignFlips(MOST, shown=())
    for world in STREAMS:
        values = world.draw(rng, simulations)
        ever, held = (
            np.concatenate([each(part) for part in np.array_split(values, max(1, simulations // CHUNK))])
            for each in (
                lambda part: test.rejects(part, np.zeros(len(part)), 0.95),
                lambda part: holds(test, part + EFFECT, EFFECT),
            )
        )
        yield row("e-test", FLIPS, world.name, MOST, ever, promised=world.symmetric)
        yield row("sequence", FLIPS, world.name, MOST, held, promised=world.symmetric)
    for size in FAMILIES[1:]:
        studies = max(50, min(simulations, 20_000 // size))
        ever = np.zeros(studies, bool)
        for each in range(studies):
            values = rng.normal(0, 0.1, (1, MOST)) + rng.normal(0, 0.1, (size, MOST))
            ever[each] = test.rejects(values, np.zeros(size), 1 - 0.05 / size).any()
        name = f"{FLIPS}, Holm: any of {size} claims"
        yield row("e-test", name, "normal, shared reference", MOST, ever, promised=True)
    for arms in FEW:
        wrong = verdicts(rng, arms, simulations // 2, Rule(test="sign-flips", most=MOST))
        yield row("e-verdict", f"adaptive study, {FLIPS}", arms.name, MOST, wrong != "undecided", promised=True)
    for arms, margin in MARGINS:
        wrong = verdicts(rng, arms, simulations // 2, Rule(margin=margin, test="sign-flips", most=MOST))
        name = f"adaptive study, {FLIPS}: equivalent at the margin"
        yield row("e-verdict", name, arms.name, MOST, wrong == "equivalent", promised=True)


def holds(test: SequentialTest, values: Array, truth: float) -> NDArray[Any]:
    """Whether the confidence sequence holds the truth when the study stops: no look up to then has rejected it."""
    until = settled_at(test.two_sided(values, np.zeros(len(values))), DECIDED)
    true = test.two_sided(values, np.full(len(values), truth))
    seen = np.arange(values.shape[1]) < until[:, None]
    return np.where(seen, true, -np.inf).max(axis=1) < DECIDED


def verdicts(rng: Generator, arms: Arms, simulations: int, rule: Rule) -> NDArray[Any]:
    """The verdict with which a study of one claim, own pool against none, ends at the latest after MOST runs."""
    treated, reference = arms.draw(rng, simulations, MOST)
    values, bare = (treated - reference).mean(axis=2), reference.mean(axis=2)
    tops = np.full(simulations, arms.top) if np.isfinite(arms.top) else np.maximum(treated, reference).max(axis=(1, 2))
    found = np.full(simulations, "undecided", dtype="<U10")
    test = SignFlips(rule.most, shown=()) if rule.test == "sign-flips" else rule.test_of(Differences(values))
    peaks = np.maximum.accumulate(test.two_sided(values, np.zeros(simulations)), axis=1)
    for each in range(simulations):
        for n in range(LOOK, MOST + 1, LOOK):
            unseen = Unseen(Pools(n, float(tops[each] - bare[each, :n].mean())))
            data = Differences(values[each, :n], unseen=unseen, bounded=True)
            mean = float(data.values.mean())
            # what would be withheld of an interval no wider than its mean is withheld of any
            none = peaks[each, n - 1] < DECIDED or rule.lone(data) or unseen.reason(mean, mean)
            if none and evidence_within(test, data, data.values, rule.margin).max() < DECIDED:
                continue
            (standing,) = stand([Claim(DECLARED[0])], [data], rule)
            if standing.verdict != "undecided":
                found[each] = standing.verdict
                break
    return found
