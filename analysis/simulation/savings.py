"""What looking saves: learning runs to a verdict, and tokens of a whole study, against a fixed size of equal power.

A fixed study has to be sized for the smallest effect that matters; one that looks stops early where the effect is
larger, and gives up where there is little hope. Where it stops, the mean lies farther from zero than the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from analysis.matrix.comparison.claims import Differences, Rule
from analysis.matrix.comparison.prospects import prospect
from analysis.matrix.contrasts import DECLARED
from analysis.simulation.looking import DECIDED, MOST
from analysis.statistics.bootstrap import Array
from analysis.statistics.cell_means import CellValues
from analysis.statistics.multiplicity import holm
from analysis.statistics.sequential import SymmetricTest, log_e

SPREAD = 0.15
EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.45)
"""Mean differences that are simulated, at a standard deviation between learning runs of SPREAD."""
SMALLEST = 0.1
"""The effect for which the fixed study is sized."""
FUTILITY = 0.05
ARMS = {"none": 0.4, "seed": 0.42, "self": 0.7, "random": 0.6, "shuffled": 0.4, "transfer": 0.5}
"""True returns by arm of the whole study; its six declared claims differ by −.2 to .3, none of them by nothing."""
LEARNING = 4.0
"""Tokens of learning in a run, in those of evaluating an arm."""


@dataclass(frozen=True)
class Saving:
    """One effect, or the whole study: means over simulations."""

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


def savings(rng: Generator, simulations: int) -> list[Saving]:
    """A row for each of EFFECTS, and two for a whole study."""
    runs = {effect: _claims(rng, simulations, effect) for effect in EFFECTS}
    power = float((runs[SMALLEST].decided > 0).mean())
    size = _fixed_size(rng, power)
    rows: list[Saving] = []
    for effect, ended in runs.items():
        fixed = _t_test(rng.normal(effect, SPREAD, (4000, size)))
        rows.append(
            Saving(
                f"a claim, effect {effect:g}",
                float(ended.runs.mean()),
                size,
                float((ended.decided > 0).mean()),
                float((fixed > 0).mean()),
                float((ended.means - effect).mean()),
                float(np.median(ended.means) - effect),
                simulations,
            )
        )
    return [*rows, *_studies(rng, simulations)]


@dataclass(frozen=True)
class _Ended:
    """Where claims ended: how many data, the mean of these, the sign of what was decided (0: nothing)."""

    runs: NDArray[Any]
    means: Array
    decided: NDArray[Any]


def _claims(rng: Generator, simulations: int, effect: float) -> _Ended:
    values = rng.normal(effect, SPREAD, (simulations, MOST))
    path = log_e(SymmetricTest(), values, np.zeros(simulations)) >= DECIDED
    until = np.where(path.any(axis=1), path.argmax(axis=1) + 1, MOST)
    decided = path.any(axis=1)
    for each in range(simulations):
        for n in range(4, int(until[each]), 2):
            if _hopeless(values[each, :n], 1, rng):
                until[each], decided[each] = n, False
                break
    means = np.array([row[:n].mean() for row, n in zip(values, until, strict=True)])
    return _Ended(until, means, np.where(decided, np.sign(means), 0.0))


def _hopeless(values: Array, family: int, rng: Generator) -> bool:
    left = MOST - len(values)
    return prospect(Differences(values), Rule(), batch=1, most=left, family=family, rng=rng).chance < FUTILITY


def _t_test(values: Array, claims: int = 1) -> NDArray[Any]:
    """Sign of what a t test decides at .05 ÷ `claims`, 0 for nothing."""
    p = CellValues.single(values).pivot.p()
    return np.where(p <= 0.05 / claims, np.sign(values.mean(axis=-1)), 0.0)


def _fixed_size(rng: Generator, power: float, claims: int = 1) -> int:
    """Learning runs of the smallest fixed study that finds SMALLEST as often, as one of so many claims."""
    for size in range(4, 4 * MOST):
        if (_t_test(rng.normal(SMALLEST, SPREAD, (4000, size)), claims) > 0).mean() >= power:
            return size
    return 4 * MOST


def _studies(rng: Generator, simulations: int) -> list[Saving]:
    """Six declared claims over shared arms, of which none is played on that serves no open claim; against a fixed study
    sized beforehand for SMALLEST, and against one sized with hindsight, so that it finds as many."""
    names = list(ARMS)
    truth = np.array(list(ARMS.values()))
    pairs = np.array([[names.index(arm) for arm in contrast.arms] for contrast in DECLARED])
    signs = np.sign(truth[pairs[:, 0]] - truth[pairs[:, 1]])
    costs, right = np.zeros(simulations), np.zeros(simulations)
    for each in range(simulations):
        values = _differences(rng, truth, pairs, 1, MOST)[0]
        costs[each], decided = _conduct(values, pairs, rng)
        right[each] = (decided == signs).mean()
    sized = _fixed_size(rng, 0.8, len(pairs))
    hindsight = next((n for n in range(4, MOST * 4) if _found(rng, truth, pairs, n) >= right.mean()), MOST * 4)
    nan = float("nan")
    return [
        Saving(
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


def _conduct(values: Array, pairs: NDArray[Any], rng: Generator) -> tuple[float, NDArray[Any]]:
    """Cost of one adaptive study, and the sign that each claim was decided with (0: none)."""
    peaks = np.maximum.accumulate(log_e(SymmetricTest(), values, np.zeros(len(values))), axis=1)
    decided, settled = np.zeros(len(values)), np.zeros(len(values), bool)
    last = np.zeros(len(values), int)
    cost = 0.0
    for n in range(2, MOST + 1, 2):
        arms = np.unique(pairs[~settled])
        cost += 2 * (LEARNING * bool((arms >= 2).any()) + len(arms))
        last[~settled] = n
        reached = 1 / holm(np.exp(-peaks[np.arange(len(values)), last - 1])) >= 20 - 1e-9
        fresh = reached & ~settled
        decided[fresh] = np.sign(values[fresh, :n].mean(axis=1))
        settled |= fresh
        left = int((~settled).sum())
        for claim in np.flatnonzero(~settled):
            if n >= 4 and n < MOST and _hopeless(values[claim, :n], left, rng):
                settled[claim] = True
        if settled.all():
            break
    return cost, decided


def markdown(rows: list[Saving]) -> str:
    """A table."""
    head = "| | looking | fixed | share | power, looking | power, fixed | mean bias | median bias | simulations |"
    lines = [head, "|--" * 9 + "|"]
    for each in rows:
        biases = [f"{bias:+.3f}" if np.isfinite(bias) else "" for bias in (each.bias, each.median_bias)]
        powers = f"{each.power_adaptive:.2f} | {each.power_fixed:.2f}"
        size = f"{each.adaptive:.1f} | {each.fixed:.1f} | {each.adaptive / each.fixed:.0%}"
        lines.append(f"| {each.what} | {size} | {powers} | {' | '.join(biases)} | {each.simulations:,} |")
    return "\n".join(lines)
