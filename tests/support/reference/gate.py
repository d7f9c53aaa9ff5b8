"""Returns, advantages and the clipped surrogate, from the formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

ZERO = 1e-12
"""What floating point makes of zero."""

LEAST = 0.5
"""Share of the steps that must have a ratio."""


def stretches(steps: Sequence[Any]) -> list[tuple[str | None, int, int]]:
    """(skill, start, stop): cut where the skill changes, and where it is called anew."""
    cuts = [i for i, step in enumerate(steps) if i == 0 or step.started or step.skill != steps[i - 1].skill]
    return [(steps[start].skill, start, stop) for start, stop in pairwise([*cuts, len(steps)])]


def to_go(rewards: Sequence[float], gamma: float) -> list[float]:
    """G_t = Σ_{k≥t} γ^{k−t} r_k."""
    count = len(rewards)
    return [math.fsum(gamma ** (k - t) * rewards[k] for k in range(t, count)) for t in range(count)]


def advantages(
    kind: str, gamma: float, spans: Sequence[tuple[Any, int, int]], baselines: Sequence[float]
) -> list[list[float]]:
    """Â of each step of each (trajectory, start, stop), `baselines` holding R̄ of each."""
    batch = {trajectory.id: trajectory for trajectory, _, _ in spans}
    rewards = {id: [step.reward for step in trajectory.steps] for id, trajectory in batch.items()}
    out: list[list[float]] = []
    for (trajectory, start, stop), baseline in zip(spans, baselines, strict=True):
        own = to_go(rewards[trajectory.id], gamma)
        if kind == "return-to-go":
            values = [own[t] - baseline for t in range(start, stop)]
        elif kind == "per-step-share":
            values = [(trajectory.total - baseline) / len(trajectory.steps)] * (stop - start)
        else:
            level = fmean(each.total for each in batch.values()) - baseline if gamma > 0 else 0.0
            others = [to_go(each, gamma) for each in rewards.values()]
            values = [own[t] - fmean(each[t] for each in others if len(each) > t) + level for t in range(start, stop)]
        out.append(values)
    return out


@dataclass(frozen=True)
class Found:
    before: float
    after: float
    stderr: float
    clipped: float
    usable: float
    noise: float
    apart: Mapping[str, float]
    """By trajectory: how far its share of ΔJ is from what its weight alone would give."""

    @property
    def change(self) -> float:
        return self.after - self.before


def likelihood(kind: str, tokens: Sequence[float]) -> float:
    return sum(tokens) if kind == "sum" else sum(tokens) / len(tokens)


def log_ratio(old: float, new: float) -> float | None:
    if math.isnan(old) or math.isnan(new) or math.isinf(old) or new == math.inf:
        return None
    return min(10.0, max(-10.0, new - old))


def weights(kind: str, owners: Sequence[str]) -> list[float]:
    """Mean over trajectories of the mean over steps, or mean over steps."""
    if kind == "per-step":
        return [1 / len(owners) for _ in owners]
    return [1 / len(set(owners)) / owners.count(owner) for owner in owners]


def spread(apart: Mapping[str, float]) -> float:
    """Standard error of a sum over independent trajectories, each of whose shares is this far from the expected."""
    n = len(apart)
    return math.sqrt(n / (n - 1) * math.fsum(value**2 for value in apart.values())) if n > 1 else math.nan


def surrogate(
    logs: Sequence[float | None],
    gains: Sequence[float],
    owners: Sequence[str],
    *,
    reduction: str,
    clip: float,
    nats: float,
) -> Found:
    """J = Σ w min(ρÂ, clip(ρ)Â) over the steps that have a ratio, and its difference to ρ ≡ 1."""
    usable = [
        i for i, (log, gain) in enumerate(zip(logs, gains, strict=True)) if log is not None and math.isfinite(gain)
    ]
    if not usable:
        return Found(0.0, 0.0, math.nan, 0.0, 0.0, 0.0, {})
    share = dict(zip(usable, weights(reduction, [owners[i] for i in usable]), strict=True))
    before = after = slopes = 0.0
    clipped = 0
    shift = dict.fromkeys([owners[i] for i in usable], 0.0)
    weight = dict(shift)
    for i in usable:
        ratio, gain = math.exp(logs[i] or 0.0), gains[i]
        bounded = min(1 + clip, max(1 - clip, ratio))
        caps = bounded * gain < ratio * gain
        term = bounded * gain if caps else ratio * gain
        before += share[i] * gain
        after += share[i] * term
        clipped += caps
        slopes += 0.0 if caps else (share[i] * ratio * gain) ** 2
        shift[owners[i]] += share[i] * (term - gain)
        weight[owners[i]] += share[i]
    apart = {owner: shift[owner] - weight[owner] * (after - before) for owner in shift}
    noise = 2 * nats * math.sqrt(slopes)
    return Found(before, after, spread(apart), clipped / len(usable), len(usable) / len(logs), noise, apart)


def panel(found: Sequence[Found]) -> Found:
    """Several scorers: J is their mean; they judge the same trajectories, but their noises are independent."""
    owners = dict.fromkeys(owner for each in found for owner in each.apart)
    apart = {owner: math.fsum(each.apart.get(owner, 0.0) for each in found) / len(found) for owner in owners}
    return Found(
        before=fmean(each.before for each in found),
        after=fmean(each.after for each in found),
        stderr=spread(apart),
        clipped=fmean(each.clipped for each in found),
        usable=min(each.usable for each in found),
        noise=math.sqrt(math.fsum(each.noise**2 for each in found)) / len(found),
        apart=apart,
    )


RULES = {
    "objective": "PositiveObjective",
    "improvement": "Improvement",
    "confident-improvement": "ConfidentImprovement",
}


def excess(acceptance: str, margin: float, found: Found) -> float:
    if acceptance == "objective":
        return found.after - margin
    if acceptance == "improvement":
        return found.change - margin
    return -math.inf if math.isnan(found.stderr) else found.change - margin * found.stderr


def outcome(acceptance: str, margin: float, found: Found) -> tuple[str, str]:
    above = excess(acceptance, margin, found)
    why = f"{RULES[acceptance]}: {above:+.4g}"
    if found.usable < LEAST:
        return "undecided", f"only {found.usable:.0%} of the steps have a usable likelihood"
    if found.noise > 0 and abs(above) <= found.noise:
        return "undecided", f"{why} lies within the numerical noise of {found.noise:.2g}"
    return ("accepted" if above > ZERO else "rejected"), why
