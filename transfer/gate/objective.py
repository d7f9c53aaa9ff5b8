"""The clipped surrogate J and what it is made of: ratios, reductions, numerical noise (paper section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    stderr: float
    """Standard error of J(ω') − J(ω) over trajectories; NaN with fewer than two."""
    clipped: float
    """Share of steps where the clip decides."""
    usable: float
    """Share of steps with a usable ratio."""
    noise: float
    """What numerical noise of the likelihoods alone does to J(ω') − J(ω), two standard deviations."""

    @property
    def change(self) -> float:
        return self.after - self.before


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
        return Objective(0.0, 0.0, np.nan, 0.0, 0.0, 0.0)
    kept = [owner for owner, good in zip(owners, keep, strict=True) if good]
    weights, gains, ratios = reduction(kept), advantages[keep], np.exp(logs[keep])
    terms = surrogate(ratios, gains, clip)
    shifts = weights * (terms - gains)
    by_owner = np.array([shifts[[owner == name for owner in kept]].sum() for name in dict.fromkeys(kept)])
    stderr = float(by_owner.std(ddof=1) * np.sqrt(len(by_owner))) if len(by_owner) > 1 else np.nan
    flat = terms != ratios * gains
    noise = 2.0 * noise_nats * float(np.sqrt(np.sum((weights * gains * ratios * ~flat) ** 2)))
    return Objective(
        before=float(weights @ gains),
        after=float(weights @ terms),
        stderr=stderr,
        clipped=float(flat.mean()),
        usable=float(keep.mean()),
        noise=noise,
    )
