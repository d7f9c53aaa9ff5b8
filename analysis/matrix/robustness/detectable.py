"""The smallest difference that a test of the size at hand would have found."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.optimize import brentq

POWER = 0.8
MOST_RUNS = 1_000
"""Learning runs beyond which nobody is told to go."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
NODES, WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
"""Gauss–Legendre on [0, 1]: the noncentral t as a normal, averaged over quantiles of its chi."""


def detectable_effect(error: float, freedom: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """The difference that a two-sided t test at `alpha` finds with `power`, given its standard error.

    `freedom`: degrees of freedom. NaN where there is no standard error; 0 where it is 0.
    """
    if not (np.isfinite(error) and freedom >= 1):
        return float("nan")
    return _shift(freedom, alpha, power) * error


@lru_cache(maxsize=4096)
def _shift(freedom: float, alpha: float, power: float) -> float:
    """In standard errors: the noncentrality at which the t test has that power.

    The noncentral t is integrated here because scipy's gives NaN at the large critical values of few runs and many
    comparisons.
    """
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    spreads = stats.chi.ppf(NODES, freedom) / np.sqrt(freedom)

    def excess(shift: float) -> float:
        beyond = stats.norm.cdf(shift - critical * spreads) + stats.norm.cdf(-shift - critical * spreads)
        return float(WEIGHTS @ beyond) - power

    most = critical + 5.0
    while excess(most) < 0:
        most *= 2
    return float(brentq(excess, 0.0, most))


def runs_needed(error: float, freedom: float, runs: int, effect: float, *, alpha: float = 0.05) -> int | None:
    """Learning runs that would find `effect` with `POWER`, were they as unlike as the `runs` behind `error`.

    None where nothing can be said, or MOST_RUNS would not do. Of an effect that was itself estimated it says what
    would settle it if it is as large as it looks, and no more.
    """
    if runs < 2 or not (np.isfinite(error) and np.isfinite(effect)) or error <= 0 or effect == 0 or freedom < 1:
        return None

    def enough(count: int) -> bool:
        grown = count / runs
        return detectable_effect(error / np.sqrt(grown), freedom * grown, alpha=alpha) <= abs(effect)

    if not enough(MOST_RUNS):
        return None
    low, high = 1, MOST_RUNS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle * freedom >= runs and enough(middle) else (middle + 1, high)
    return low
