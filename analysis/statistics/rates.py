"""Intervals of a rate (solved, 0/1 returns) over learning runs: beta-binomial likelihood, inside [0, 1] at any count.

Chosen by simulation for 2 to 10 learning runs, rates of .02 to .5 and runs at .02 or .95 (docs/calibration.md):
Student's t leaves [0, 1] and covers 57 % of rates near 0, Wilson's and Clopper–Pearson's intervals on an effective
number are the whole range where few runs differ.

Where most learned pools solve nearly nothing (or all), a beta distribution is sure that the others do so too; if a
tenth solves nearly all, its interval covers 67 % at ten runs. There every learning run counts as one trial
(`near_edge`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import betaln

from analysis.statistics.bootstrap import Array, Bounds

_EDGE = np.array([1e-4, 3e-4, 1e-3, 2e-3, 4e-3, 7e-3])
MEANS = np.concatenate([_EDGE, np.linspace(0.01, 0.99, 99), 1 - _EDGE[::-1]])
"""Grid of mean rates."""
CORRELATIONS = np.concatenate([[1e-6, 3e-3], np.linspace(0.02, 0.5, 13), np.linspace(0.6, 0.95, 8), [0.98]])
"""Grid of intra-run correlations, which are profiled out."""
MOST = 10.0
"""Largest drop of twice the log likelihood that is still inside: t² of one or two degrees of freedom would take in the
whole range."""

EDGE = 0.05
"""Distance from 0 or 1 within which a rate is nearly nothing, or nearly all."""


def rate_interval(
    successes: Array, trials: Array, level: float = 0.95, learned: NDArray[np.bool_] | bool = False
) -> Bounds:
    """Bounds of the mean rate of learning runs; `successes`, `trials` (rates, runs), the latter above 0.

    Profile likelihood of a beta-binomial, twice its drop compared with t² of G − 1 degrees of freedom; no shorter than
    Clopper–Pearson's interval of the totals, for clustering never adds information. Where the runs hold `learned` pools
    (one for all, or per rate) and are `near_edge`, no shorter than Clopper–Pearson's of so many trials as runs:
    whatever the distribution of pools, a mean in [0, 1] is no harder to bound than the rate of as many coins.
    """
    runs = successes.shape[1]
    pairs, index = np.unique(np.stack([successes.ravel(), trials.ravel()], axis=1), axis=0, return_inverse=True)
    terms = np.stack([_log_likelihood(float(x), float(n)) for x, n in pairs])
    which = index.reshape(successes.shape)
    profile = np.stack([terms[row].sum(axis=0).max(axis=1) for row in which])
    quantile = float(stats.t.ppf((1 + level) / 2, max(runs - 1, 1)))
    inside = 2 * (profile.max(axis=1, keepdims=True) - profile) <= min(quantile**2, MOST)
    low = np.where(inside[:, 0], 0.0, MEANS[np.argmax(inside, axis=1)])
    high = np.where(inside[:, -1], 1.0, MEANS[len(MEANS) - 1 - np.argmax(inside[:, ::-1], axis=1)])
    exact_low, exact_high = clopper_pearson(successes.sum(axis=1), trials.sum(axis=1), level)
    shares = successes / trials
    each_low, each_high = clopper_pearson(shares.sum(axis=1), np.full(len(shares), float(runs)), level)
    wide, mean = near_edge(shares) & learned, shares.mean(axis=1)
    low, high = np.where(wide, np.minimum(low, each_low), low), np.where(wide, np.maximum(high, each_high), high)
    return np.minimum(np.minimum(low, exact_low), mean), np.maximum(np.maximum(high, exact_high), mean)


def near_edge(shares: Array) -> NDArray[np.bool_]:
    """Whether the median run (`shares`: rates × runs) solves nearly nothing or nearly all: other kinds may be unmet."""
    middle = np.median(shares, axis=1)
    return (middle <= EDGE + 1e-9) | (middle >= 1 - EDGE - 1e-9)


def clopper_pearson(successes: Array, trials: Array, level: float = 0.95) -> Bounds:
    """Exact interval of binomial proportions; counts need not be whole (an effective number)."""
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(successes > 0, stats.beta.ppf(tail, successes, trials - successes + 1), 0.0)
        high = np.where(successes < trials, stats.beta.ppf(1 - tail, successes + 1, trials - successes), 1.0)
    return low, high


@lru_cache(maxsize=8192)
def _log_likelihood(successes: float, trials: float) -> Array:
    """Beta-binomial log likelihood up to a constant, over MEANS × CORRELATIONS."""
    size = (1 - CORRELATIONS) / CORRELATIONS
    first, second = MEANS[:, None] * size, (1 - MEANS[:, None]) * size
    return betaln(successes + first, trials - successes + second) - betaln(first, second)
