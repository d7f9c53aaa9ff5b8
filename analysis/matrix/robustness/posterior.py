"""A second opinion for few learning runs: the posterior of a mean under a stated prior, summed over a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.statistics.bootstrap import Array

MEANS, SPREADS = 801, 161
"""Points of the grid over the mean and over the logarithm of the spread."""


@dataclass(frozen=True)
class Posterior:
    """What is believed of a mean after the data: its mean, central interval, and two chances."""

    estimate: float
    low: float
    high: float
    positive: float
    """Chance that it lies above 0."""
    within: float
    """Chance that it lies within ± the margin; NaN without one."""


def posterior(values: Array, scale: float, *, level: float = 0.95, margin: float = np.nan) -> Posterior:
    """Posterior of the mean of independent normal values (clusters,), at least one of them.

    Prior: the mean is normal around 0 with standard deviation `scale`, the spread half-normal with the same. `scale` is
    what a large effect would be: half the reward range. With one value the prior speaks for the spread.
    """
    centre, error = float(values.mean()), max(float(values.std()) / np.sqrt(len(values)), 1e-3 * scale)
    reach = min(12 * error + 2 * scale / len(values), 4 * scale)
    means = np.linspace(min(centre - reach, -reach / 8), max(centre + reach, reach / 8), MEANS)
    spreads = scale * np.exp(np.linspace(np.log(1e-4), np.log(5), SPREADS))
    squares = ((values[:, None] - means) ** 2).sum(axis=0)
    likelihood = -len(values) * np.log(spreads)[:, None] - squares / (2 * spreads[:, None] ** 2)
    # a grid even in the logarithm of the spread: its density gains a factor of the spread
    prior = np.log(spreads)[:, None] - (spreads[:, None] ** 2 + means**2) / (2 * scale**2)
    weights = np.exp(likelihood + prior - (likelihood + prior).max()).sum(axis=0)
    weights /= weights.sum()
    below = np.cumsum(weights) - weights / 2
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], below, means)
    inside = float(weights[np.abs(means) <= margin].sum()) if np.isfinite(margin) else np.nan
    positive = float(weights[means > 0].sum())
    return Posterior(float(weights @ means), float(low), float(high), positive, inside)
