"""What further data are worth to an open claim: whether they will settle it, and how much evidence they add.

Predicted from the claim's own data, by draws from the posterior of a normal mean and spread (flat prior), as
predictive power is in clinical trials (Spiegelhalter, Freedman & Blackburn 1986). Nothing here touches a verdict: a
poor prediction wastes tokens, and no more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy import stats

from analysis.matrix.comparison.claims import evidence_within
from analysis.matrix.comparison.rule import Differences, Rule
from analysis.statistics.bootstrap import Array

DRAWS = 200
"""Futures that are drawn; a chance of 5 % is told to ±1.5 %."""
LEAST = 4
"""Data from which on anything is predicted."""


class Prospect(NamedTuple):
    """Of one open claim."""

    chance: float
    """That it is settled within its budget."""
    growth: float
    """Expected growth of its evidence (log e-value, or half the squared z), the larger of both claims', by the next
    batch."""


UNKNOWN = Prospect(1.0, 1.0)
"""Of a claim with too few data: it is given the benefit of the doubt."""


def prospect(data: Differences, rule: Rule, *, batch: int, most: int, family: int, rng: Generator) -> Prospect:
    """`batch` data are next, at most `most` are still to come; `family` claims are still to be settled."""
    n = len(data.values)
    if n < LEAST or most <= 0:
        return UNKNOWN if n < LEAST else Prospect(0.0, 0.0)
    if rule.planned(data):
        return _planned(data, rule, batch, most, family)
    test = rule.test_of(data)
    values = np.concatenate([np.broadcast_to(data.values, (DRAWS, n)), _futures(data, most, rng)], axis=1)
    enough = np.log(family / (1 - rule.level))
    against = test.two_sided(values, np.zeros(DRAWS))
    within = evidence_within(test, data, values, rule.margin)
    settled = (against.max(axis=1) >= enough) | (within.max(axis=1) >= enough)
    now, then = n - 1, min(n + batch, values.shape[1]) - 1
    grown = [float((path[:, then] - path[:, now]).mean()) for path in (against, within)]
    return Prospect(float(settled.mean()), max(0.0, *grown))


LAST = 1.07
"""What is left to the last look needs so many times the distance that a single look would need."""


def _planned(data: Differences, rule: Rule, batch: int, most: int, family: int) -> Prospect:
    """Of a test that spends its level: whether the mean of all data will lie far enough out, or inside."""
    n, total = len(data.values), len(data.values) + most
    mean, spread = float(data.values.mean()), float(data.values.std(ddof=1))
    alpha = (1 - rule.level) / family
    off, inside = (LAST * stats.norm.isf(tail) * spread / np.sqrt(total) for tail in (alpha / 2, alpha))
    low, high = data.unseen.within(rule.margin) if data.bounded else (np.nan, np.nan)
    ranks = stats.t.ppf((np.arange(DRAWS) + 0.5) / DRAWS, n - 1)
    ends = mean + spread * np.sqrt(1 / n - 1 / total) * ranks
    settled = (np.abs(ends) > off) | ((ends >= low + inside) & (ends <= high - inside))
    far = max(abs(mean), 0.0 if np.isnan(low) else min(mean - low, high - mean))
    # a sign is worth log 2 at most
    growth = min(np.log(2), (far**2 / spread**2 + 1 / n) / 2) if spread > 0 else np.log(2)
    return Prospect(float(settled.mean()), batch * float(growth))


def _futures(data: Differences, most: int, rng: Generator) -> Array:
    """(DRAWS, most) values to come."""
    n = len(data.values)
    spread = float(data.values.std(ddof=1)) * np.sqrt((n - 1) / rng.chisquare(n - 1, (DRAWS, 1)))
    centre = float(data.values.mean()) + spread / np.sqrt(n) * rng.standard_normal((DRAWS, 1))
    return np.clip(centre + spread * rng.standard_normal((DRAWS, most)), data.low, data.high)
