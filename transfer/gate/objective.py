"""The clipped surrogate J and what it is made of: ratios, reductions, numerical noise (paper section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from agents.models.model import Likelihood

Floats = np.ndarray[Any, np.dtype[np.float64]]

LIKELIHOODS: dict[str, Callable[[Likelihood], float]] = {
    "sum": lambda likelihood: likelihood.total,
    "per-token-mean": lambda likelihood: likelihood.mean,
}
"""An action's log-likelihood: of the whole text (a probability), or per token (the official local back end)."""

MOST = 10.0
"""Log-ratios are cut here (as released): beyond it only overflow is different."""

ROUNDING = 1e-12
"""No more than what floating point makes of zero: with ρ ≡ 1 and a batch at its baseline J is 0, give or take this."""

Reduction = Callable[[Sequence[str]], Floats]
"""From each step's trajectory id to its weight in J; the weights add up to 1."""


def per_trajectory(owners: Sequence[str]) -> Floats:
    """Paper: the mean over trajectories of the mean over their steps."""
    names, index, counts = np.unique(np.array(owners), return_inverse=True, return_counts=True)
    return 1.0 / (len(names) * counts[index])


def per_step(owners: Sequence[str]) -> Floats:
    """As released: the mean over all steps."""
    return np.full(len(owners), 1.0 / max(1, len(owners)))


REDUCTIONS: dict[str, Reduction] = {"per-trajectory": per_trajectory, "per-step": per_step}


class Objective(NamedTuple):
    """J of one candidate on a batch."""

    before: float
    """J(ω): the surrogate at ρ ≡ 1, the weighted mean advantage."""
    after: float
    """J(ω')."""
    clipped: float
    """Share of steps where the clip decides."""
    usable: float
    """Share of steps with a usable ratio."""
    noise: float
    """What numerical noise of the likelihoods alone does to J(ω') − J(ω), two standard deviations."""
    apart: Mapping[str, float] = {}
    """By trajectory: how much more it adds to J(ω') − J(ω) than its weight in the mean alone would; they sum to 0."""

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def stderr(self) -> float:
        """Standard error of J(ω') − J(ω), a weighted mean over trajectories, linearised; NaN with fewer than two."""
        n = len(self.apart)
        return float(np.sqrt(n / (n - 1) * sum(each**2 for each in self.apart.values()))) if n > 1 else np.nan


def log_ratios(old: Floats, new: Floats) -> Floats:
    """ln ρ, cut to ±10. NaN where there is none: the old policy gives the action no chance, or a value is NaN.

    An action that only the new skill rules out has ρ = 0, here e^−10.
    """
    with np.errstate(invalid="ignore"):
        out = np.clip(new - old, -MOST, MOST)
    return np.where(np.isfinite(old) & ~np.isnan(new) & ~np.isposinf(new), out, np.nan)


def surrogate(ratios: Floats, advantages: Floats, clip: float) -> Floats:
    """min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) of every step."""
    return np.minimum(ratios * advantages, np.clip(ratios, 1.0 - clip, 1.0 + clip) * advantages)


def objective(
    logs: Floats, advantages: Floats, owners: Sequence[str], *, reduction: Reduction, clip: float, noise_nats: float
) -> Objective:
    """J of a candidate from its log-ratios; steps without a usable one are left out of both J(ω) and J(ω')."""
    keep = np.isfinite(logs) & np.isfinite(advantages)
    if not keep.any():
        return Objective(0.0, 0.0, 0.0, 0.0, 0.0)
    kept = [owner for owner, good in zip(owners, keep, strict=True) if good]
    weights, gains, ratios = reduction(kept), advantages[keep], np.exp(logs[keep])
    terms = surrogate(ratios, gains, clip)
    before, after = float(weights @ gains), float(weights @ terms)
    apart = dict.fromkeys(kept, 0.0)
    for owner, beyond in zip(kept, weights * (terms - gains - (after - before)), strict=True):
        apart[owner] += float(beyond)
    flat = terms != ratios * gains
    noise = 2.0 * noise_nats * float(np.sqrt(np.sum((weights * gains * ratios * ~flat) ** 2)))
    return Objective(before, after, float(flat.mean()), float(keep.mean()), noise, apart)


def panel_mean(found: Sequence[Objective]) -> Objective:
    """J of several scorers is the mean of theirs, and as usable as with the scorer that knows least.

    They judge the same trajectories: what each of these adds is averaged before its spread is taken. Their numerical
    noises are independent and add in squares.
    """
    share = 1.0 / len(found)
    return Objective(
        before=share * sum(each.before for each in found),
        after=share * sum(each.after for each in found),
        clipped=share * sum(each.clipped for each in found),
        usable=min(each.usable for each in found),
        noise=share * float(np.sqrt(sum(each.noise**2 for each in found))),
        apart={
            owner: share * sum(each.apart.get(owner, 0.0) for each in found)
            for owner in dict.fromkeys(owner for each in found for owner in each.apart)
        },
    )
