"""What looking saves: learning runs to a verdict, and tokens of a whole study, against a fixed size of equal power.

A fixed study has to be sized for the smallest effect that matters; one that looks stops early where the effect is
larger, and gives up where there is little hope. Where it stops, the mean lies farther from zero than the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from analysis.matrix.comparison.prospects import prospect
from analysis.matrix.comparison.rule import Differences, Rule
from analysis.matrix.contrasts import DECLARED
from analysis.simulation.adaptive.looking import DECIDED
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues
from analysis.statistics.multiplicity import holm
from analysis.statistics.sequential.e_processes import SymmetricTest
from analysis.statistics.sequential.sequential_test import SequentialTest, settled_at
from analysis.statistics.sequential.sign_flips import SignFlips

SPREAD = 0.15
EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.45)
"""Mean differences that are simulated, at a standard deviation between learning runs of SPREAD."""
SMALLEST = 0.1
"""The effect for which the fixed study is sized."""
ARMS = {"none": 0.4, "seed": 0.42, "self": 0.7, "random": 0.6, "shuffled": 0.4, "transfer": 0.5}
"""True returns by arm of the whole study; its six declared claims differ by −.2 to .3, none of them by nothing."""
LARGEST = 160
"""Learning runs of a fixed study at most."""
LEARNING = 4.0
"""Tokens of learning in a run, in those of evaluating an arm."""


@dataclass(frozen=True)
class Design:
    """How a study looks: by which test, at how many learning runs at most, and below which chance it gives up."""

    name: str
    rule: Rule
    test: Callable[[int], SequentialTest]
    """By the number of claims."""
    most: int
    futility: float

    def hopeless(self, values: Array, family: int, rng: Generator) -> bool:
        """Whether a claim with these data so far, one of so many open ones, is given up."""
        left = self.most - len(values)
        known = prospect(Differences(values), self.rule, batch=1, most=left, family=family, rng=rng)
        return known.chance < self.futility


def _flips(most: int) -> Design:
    def test(family: int) -> SequentialTest:
        return SignFlips(most, family=family, shown=())

    return Design(f"sign flips, at most {most} runs", Rule(test="sign-flips", most=most), test, most, 0.15)


DESIGNS = (
    Design("symmetric e-process, at most 40 runs", Rule(), lambda _: SymmetricTest(), 40, 0.05),
    _flips(40),
    _flips(28),
)


@dataclass(frozen=True)
class Saving:
    """One effect, or the whole study: means over simulations."""

    design: str
    what: str
    adaptive: float
    """Learning runs, or tokens in those of evaluating an arm for one run."""
    fixed: float
    power_adaptive: float
    """Share of claims that are decided, rightly."""
    power_fixed: float
    bias: float
    """Mean of the estimates at stopping less the truth; NaN for a whole study."""
    median_bias: float
    simulations: int

    def plain(self) -> dict[str, str | int | float | None]:
        """As a JSON object."""
        values: dict[str, str | int | float] = vars(self)
        return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in values.items()}


def savings(rng: Generator, simulations: int) -> list[Saving]:
    """Of each design a row for each of EFFECTS, one for all of them, and two for a whole study."""
    own = (rng, *rng.spawn(len(DESIGNS) - 1))  # so that a design can be simulated anew alone
    return [
        each
        for design, draws in zip(DESIGNS, own, strict=True)
        for each in (*_of_claims(design, draws, simulations), *_of_studies(design, draws, simulations))
    ]


def _of_claims(design: Design, rng: Generator, simulations: int) -> list[Saving]:
    ends = {effect: _claims(design, rng, simulations, effect) for effect in EFFECTS}
    size = _fixed_size(rng, float((ends[SMALLEST].decided > 0).mean()))
    rows = [
        Saving(
            design.name,
            f"a claim, effect {effect:g}",
            float(ended.runs.mean()),
            size,
            float((ended.decided > 0).mean()),
            float((_t_test(rng.normal(effect, SPREAD, (4000, size))) > 0).mean()),
            float((ended.means - effect).mean()),
            float(np.median(ended.means) - effect),
            simulations,
        )
        for effect, ended in ends.items()
    ]
    nan = float("nan")
    mean = float(np.mean([row.adaptive for row in rows]))
    return [*rows, Saving(design.name, "these effects together", mean, size, nan, nan, nan, nan, simulations)]


@dataclass(frozen=True)
class _Ended:
    """Where claims ended: how many data, the mean of these, the sign of what was decided (0: nothing)."""

    runs: NDArray[Any]
    means: Array
    decided: NDArray[Any]


def _claims(design: Design, rng: Generator, simulations: int, effect: float) -> _Ended:
    values = rng.normal(effect, SPREAD, (simulations, design.most))
    until = settled_at(design.test(1).two_sided(values, np.zeros(simulations)), DECIDED)
    decided = until <= design.most
    until = np.minimum(until, design.most)
    for each in range(simulations):
        for n in range(4, int(until[each]), 2):
            if design.hopeless(values[each, :n], 1, rng):
                until[each], decided[each] = n, False
                break
    means = np.array([row[:n].mean() for row, n in zip(values, until, strict=True)])
    return _Ended(until, means, np.where(decided, np.sign(means), 0.0))


def _t_test(values: Array, claims: int = 1) -> NDArray[Any]:
    """Sign of what a t test decides at .05 ÷ `claims`, 0 for nothing."""
    p = CellValues.single(values).pivot.p()
    return np.where(p <= 0.05 / claims, np.sign(values.mean(axis=-1)), 0.0)


def _fixed_size(rng: Generator, power: float, claims: int = 1) -> int:
    """Learning runs of the smallest fixed study that finds SMALLEST as often, as one of so many claims."""
    for size in range(4, LARGEST):
        if (_t_test(rng.normal(SMALLEST, SPREAD, (4000, size)), claims) > 0).mean() >= power:
            return size
    return LARGEST


def _of_studies(design: Design, rng: Generator, simulations: int) -> list[Saving]:
    """Six declared claims over shared arms, of which none is played on that serves no open claim; against a fixed study
    sized beforehand for SMALLEST, and against one sized with hindsight, so that it finds as many."""
    names = list(ARMS)
    truth = np.array(list(ARMS.values()))
    pairs = np.array([[names.index(arm) for arm in contrast.arms] for contrast in DECLARED])
    signs = np.sign(truth[pairs[:, 0]] - truth[pairs[:, 1]])
    costs, right = np.zeros(simulations), np.zeros(simulations)
    for each in range(simulations):
        values = _differences(rng, truth, pairs, 1, design.most)[0]
        costs[each], decided = _conduct(design, values, pairs, rng)
        right[each] = (decided == signs).mean()
    sized = _fixed_size(rng, 0.8, len(pairs))
    hindsight = next((n for n in range(4, LARGEST) if _found(rng, truth, pairs, n) >= right.mean()), LARGEST)
    nan = float("nan")
    return [
        Saving(
            design.name,
            f"a study of six claims, the fixed one sized {how}",
            float(costs.mean()),
            size * (LEARNING + len(names)),
            float(right.mean()),
            _found(rng, truth, pairs, size),
            nan,
            nan,
            simulations,
        )
        for how, size in ((f"for an effect of {SMALLEST:g}", sized), ("with hindsight", hindsight))
    ]


def _differences(rng: Generator, truth: Array, pairs: NDArray[Any], studies: int, runs: int) -> Array:
    """Of every claim in every learning run, shape (studies, claims, runs)."""
    returns = rng.normal(truth[:, None], SPREAD / np.sqrt(2), (studies, len(truth), runs))
    return returns[:, pairs[:, 0]] - returns[:, pairs[:, 1]]


def _found(rng: Generator, truth: Array, pairs: NDArray[Any], runs: int) -> float:
    """Share of the claims that a fixed study of so many runs decides rightly (Holm)."""
    values = _differences(rng, truth, pairs, 1000, runs)
    p = np.stack([CellValues.single(values[:, k]).pivot.p() for k in range(len(pairs))], axis=1)
    found = np.array([holm(row) <= 0.05 for row in p]) * np.sign(values.mean(axis=2))
    return float((found == np.sign(truth[pairs[:, 0]] - truth[pairs[:, 1]])).mean())


def _conduct(design: Design, values: Array, pairs: NDArray[Any], rng: Generator) -> tuple[float, NDArray[Any]]:
    """Cost of one adaptive study, and the sign that each claim was decided with (0: none)."""
    evidence = design.test(len(values)).two_sided(values, np.zeros(len(values)))
    peaks = np.maximum.accumulate(evidence, axis=1)
    decided, settled = np.zeros(len(values)), np.zeros(len(values), bool)
    last = np.zeros(len(values), int)
    cost = 0.0
    for n in range(2, design.most + 1, 2):
        arms = np.unique(pairs[~settled])
        cost += 2 * (LEARNING * bool((arms >= 2).any()) + len(arms))
        last[~settled] = n
        reached = 1 / holm(np.exp(-peaks[np.arange(len(values)), last - 1])) >= 20 - 1e-9
        fresh = reached & ~settled
        decided[fresh] = np.sign(values[fresh, :n].mean(axis=1))
        settled |= fresh
        left = int((~settled).sum())
        for claim in np.flatnonzero(~settled):
            if 4 <= n < design.most and design.hopeless(values[claim, :n], left, rng):
                settled[claim] = True
        if settled.all():
            break
    return cost, decided


def markdown(rows: list[Saving]) -> str:
    """A table."""
    head = "| design | | looking | fixed | share | power, looking | fixed | mean bias | median bias | simulations |"
    lines = [head, "|--" * 10 + "|"]
    for each in rows:
        biases = [f"{bias:+.3f}" if np.isfinite(bias) else "" for bias in (each.bias, each.median_bias)]
        powers = " | ".join("" if np.isnan(p) else f"{p:.2f}" for p in (each.power_adaptive, each.power_fixed))
        size = f"{each.adaptive:.1f} | {each.fixed:.1f} | {each.adaptive / each.fixed:.0%}"
        told = " | ".join([each.design, each.what, size, powers, *biases, f"{each.simulations:,}"])
        lines.append(f"| {told} |")
    return "\n".join(lines)
