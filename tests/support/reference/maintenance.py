"""Credit, running baselines, and who leaves a pool, from the rules in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

ZERO = 1e-12
"""What floating point makes of zero."""


@dataclass(frozen=True)
class Tally:
    gain: float = 0.0
    n: int = 0
    calls: int = 0
    steps: int = 0

    @property
    def value(self) -> float:
        return self.gain / self.n if self.n else self.gain

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.gain + other.gain, self.n + other.n, self.calls + other.calls, self.steps + other.steps)


def follow(kind: str, alpha: float, old: tuple[float, int] | None, returns: Sequence[float]) -> tuple[float, int]:
    """R̄ and its number of episodes after these returns."""
    if old is None:
        return fmean(returns), len(returns)
    mean, n = old
    if kind == "running-mean":
        return (mean * n + math.fsum(returns)) / (n + len(returns)), n + len(returns)
    for value in returns:
        mean = (1 - alpha) * mean + alpha * value
    return mean, n + len(returns)


def credit(kind: str, trajectory: Any, baseline: float) -> dict[str, Tally]:
    """What each skill of a trajectory gained over the baseline."""
    steps = trajectory.steps
    length = len(steps)
    out: dict[str, Tally] = {}
    calls_of_all = sum(1 for step in steps if step.started and step.skill)
    for skill in dict.fromkeys(step.skill for step in steps if step.skill):
        active = [step for step in steps if step.skill == skill]
        calls = sum(1 for step in active if step.started)
        if kind == "step-mean":
            if any(step.reward for step in steps[: length - 1]):
                gain = fmean(step.reward - baseline / length for step in active)
            else:
                gain = (trajectory.total - baseline) / length
            out[skill] = Tally(gain, 1, calls, len(active))
        elif calls:
            out[skill] = Tally((trajectory.total - baseline) * calls / calls_of_all, calls, calls, len(active))
    return out


@dataclass(frozen=True)
class Held:
    """What a rule knows of one skill."""

    id: str
    words: str
    """Its text but for the name, folded."""
    vector: tuple[float, ...]
    score: Tally
    born: int


def leaving(kind: str, evidence: int, skills: Sequence[Held], capacity: int, iteration: int) -> list[tuple[str, str]]:
    """(id, why) of those that go; `iteration` counts the finished ones."""
    surplus = max(0, len(skills) - capacity)
    if kind == "fifo":
        oldest = sorted(skills, key=lambda each: (each.born, each.id))
        return [(each.id, "first in, first out") for each in oldest[:surplus]]
    if kind == "lower-bound":
        return [(id, "lowest confidence bound") for id in _by_bound(skills, iteration)[:surplus]]
    if kind == "over-capacity" and not surplus:
        return []
    return _by_score(evidence, skills, capacity, iteration)


def _by_bound(skills: Sequence[Held], iteration: int) -> list[str]:
    age = {each.id: iteration - each.born for each in skills}
    t = max(1, *age.values())

    def order(each: Held) -> tuple[int, float, str]:
        n = each.score.n
        bound = each.score.value - 0.2 * math.sqrt(math.log(1 + t) / max(1, n))
        if n >= 10 and age[each.id] > 2 and bound < -0.001:
            return 0, bound, each.id
        return (1 if n < 10 else 2 if n < 80 else 3), bound, each.id

    return [each.id for each in sorted(skills, key=order)]


def _by_score(evidence: int, skills: Sequence[Held], capacity: int, iteration: int) -> list[tuple[str, str]]:
    young = {each.id for each in skills if each.score.n < evidence and iteration - each.born <= 3}
    failed = [each for each in skills if each.score.n >= evidence and each.score.value <= ZERO]
    if len(failed) == len(skills):
        spared = sorted(failed, key=lambda each: (each.score.value, each.id))[-1]
        failed = [each for each in failed if each is not spared]
    out = [(each.id, "score ≤ 0") for each in failed]
    left = [each for each in skills if each not in failed]
    for i, one in enumerate(left):
        for other in left[i + 1 :]:
            gone = {id for id, _ in out}
            cosine = math.fsum(a * b for a, b in zip(one.vector, other.vector, strict=True))
            twins = one.words == other.words
            if gone & {one.id, other.id} or not (twins or cosine >= 0.95):
                continue
            if not twins and young & {one.id, other.id}:
                continue
            values = one.score.value, other.score.value
            tied = values[0] == values[1]
            worse = other if values[1] < values[0] or (tied and other.born > one.born) else one
            out.append(
                (worse.id, "same text as another" if twins else f"activation like another's (cosine {cosine:.2f})")
            )
    gone = {id for id, _ in out}
    left = [each for each in left if each.id not in gone]
    surplus = max(0, len(left) - capacity)
    ranked = sorted(left, key=lambda each: (each.id in young, each.score.value, each.id))
    return out + [(each.id, "lowest score of a full pool") for each in ranked[:surplus]]
