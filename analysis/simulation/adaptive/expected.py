"""Before an adaptive study: how many learning runs a claim will take, by how large its effect is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from analysis.matrix.comparison.claims import evidence_within
from analysis.matrix.comparison.prospects import prospect
from analysis.matrix.comparison.rule import Differences, Rule

SIMULATIONS = 60
"""Of each effect; a share of a half is told to ±13 %."""


@dataclass(frozen=True)
class Budget:
    """How long a study may go on, and how often it looks."""

    most: int
    """Learning runs."""
    look: int
    futility: float


@dataclass(frozen=True)
class Expected:
    """What becomes of a claim whose true difference is `effect`."""

    effect: float
    runs: float
    """Mean learning runs until it is settled or given up."""
    decided: float
    """Share that end as better or worse."""
    equivalent: float
    futile: float


def expected(effect: float, spread: float, budget: Budget, rule: Rule, family: int, rng: Generator) -> Expected:
    """Simulated with normal differences of learning runs (SD `spread`), alone among `family` claims that stay open.

    Pools that were not met are left out of account: "worse" and "equivalent" may take longer than this.
    """
    ends: list[tuple[int, str]] = []
    for values in rng.normal(effect, spread, (SIMULATIONS, budget.most)):
        enough = np.log(family / (1 - rule.level)) - 1e-9
        data = Differences(values, bounded=True)
        test = rule.test_of(data, family)
        decided = np.maximum.accumulate(test.two_sided(values, np.zeros(()))) >= enough
        within = np.maximum.accumulate(evidence_within(test, data, values, rule.margin)) >= enough
        ends.append(_end(values, decided, within, budget, rule, family, rng))
    shares = {
        state: sum(end == state for _, end in ends) / SIMULATIONS for state in ("decided", "equivalent", "futile")
    }
    return Expected(effect, float(np.mean([n for n, _ in ends])), **shares)


def _end(
    values: np.ndarray,
    decided: np.ndarray,
    within: np.ndarray,
    budget: Budget,
    rule: Rule,
    family: int,
    rng: Generator,
) -> tuple[int, str]:
    for n in range(budget.look, budget.most + 1, budget.look):
        if within[n - 1]:
            return n, "equivalent"
        if decided[n - 1]:
            return n, "decided"
        left = budget.most - n
        data = Differences(values[:n], bounded=True)
        if left and prospect(data, rule, batch=1, most=left, family=family, rng=rng).chance < budget.futility:
            return n, "futile"
    return budget.most, "open"
