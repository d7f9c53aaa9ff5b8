"""Maintenance: which skills leave the pool (paper section 4.5; the official code differs, so it is a named choice)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, Protocol

from agents.embedding import Embedder
from agents.skill import Skill
from transfer.memory.events.contents import Pruned
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

ROUNDING = 1e-12
"""No more than what floating point makes of zero, the score of a skill that was as good as the baseline."""


class Removal(NamedTuple):
    skill: str
    why: str


class Maintenance(Protocol):
    def deaths(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        """Who leaves of `skills`, the pool and this iteration's newcomers (already in `state.born`).

        At most the pool's capacity is left, and at least one skill.
        """
        ...


@dataclass(frozen=True)
class Always:
    """Paper: after every iteration prune scores ≤ 0, then duplicates, then the lowest scores down to K.

    A score counts after `evidence` trajectories. A skill without that much stays `grace` iterations (the paper says
    neither): else chance would kill half of all skills at their first use, and newcomers before it.
    """

    evidence: int = 3
    grace: int = 3
    similarity: float = 0.95

    def deaths(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        out = [Removal(each.id, "score ≤ 0") for each in skills if self._failed(each.id, state)]
        if out and len(out) == len(skills):
            out.remove(max(out, key=lambda death: (state.score(death.skill).value, death.skill)))
        left = without(skills, out)
        out += self._duplicates(left, state, embedder)
        left = without(skills, out)
        surplus = max(0, len(left) - state.pool.capacity)
        ranked = sorted(left, key=lambda each: (self._young(each.id, state), state.score(each.id).value, each.id))
        return out + [Removal(each.id, "lowest score of a full pool") for each in ranked[:surplus]]

    def _failed(self, skill: str, state: LearnerState) -> bool:
        return state.score(skill).n >= self.evidence and state.score(skill).value <= ROUNDING

    def _young(self, skill: str, state: LearnerState) -> bool:
        return state.score(skill).n < self.evidence and state.age(skill) <= self.grace

    def _duplicates(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        """The lower-scored of each pair; a likeness of activations alone does not kill a young skill."""
        out: dict[str, Removal] = {}
        for left, right, cosine in alike(skills, embedder, self.similarity):
            if left.id in out or right.id in out:
                continue
            equal = left.says_the_same_as(right)
            if not equal and (self._young(left.id, state) or self._young(right.id, state)):
                continue
            worse = min((left, right), key=lambda each: (state.score(each.id).value, -state.born.get(each.id, 0)))
            why = "same text as another" if equal else f"activation like another's (cosine {cosine:.2f})"
            out[worse.id] = Removal(worse.id, why)
        return list(out.values())


@dataclass(frozen=True)
class OverCapacity:
    """Algorithm 1: the same, but only when the pool holds more than K."""

    rule: Always = Always()

    def deaths(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        return self.rule.deaths(skills, state, embedder) if len(skills) > state.pool.capacity else []


@dataclass(frozen=True)
class LowerBound:
    """As released: by LCB = mean gain − width · sqrt(log(1+t)/n), only over capacity; t is the oldest skill's age.

    First those proven bad (n ≥ `proven`, older than `settled`, LCB < −.001), then the least used and lowest bound.
    """

    width: float = 0.2
    proven: int = 10
    veteran: int = 80
    settled: int = 2

    def bound(self, skill: str, state: LearnerState, oldest: int) -> float:
        score = state.score(skill)
        return score.value - self.width * math.sqrt(math.log1p(max(1, oldest)) / max(1, score.n))

    def deaths(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        surplus = max(0, len(skills) - state.pool.capacity)
        oldest = max((state.age(each.id) for each in skills), default=0)

        def order(skill: Skill) -> tuple[int, float, str]:
            n, bound = state.score(skill.id).n, self.bound(skill.id, state, oldest)
            proven_bad = n >= self.proven and state.age(skill.id) > self.settled and bound < -0.001
            rank = 0 if proven_bad else 1 if n < self.proven else 2 if n < self.veteran else 3
            return rank, bound, skill.id

        return [Removal(each.id, "lowest confidence bound") for each in sorted(skills, key=order)[:surplus]]


@dataclass(frozen=True)
class FirstInFirstOut:
    """Ablation "without score": over capacity the oldest goes, whatever it is worth."""

    def deaths(self, skills: Sequence[Skill], state: LearnerState, embedder: Embedder) -> list[Removal]:
        surplus = max(0, len(skills) - state.pool.capacity)
        oldest_first = sorted(skills, key=lambda each: (state.born.get(each.id, 0), each.id))
        return [Removal(each.id, "first in, first out") for each in oldest_first[:surplus]]


def alike(skills: Sequence[Skill], embedder: Embedder, threshold: float) -> list[tuple[Skill, Skill, float]]:
    """Pairs with the same words or with activations of at least this cosine."""
    if len(skills) < 2:
        return []
    rows = embedder.embed([skill.activation for skill in skills])
    cosines = rows @ rows.T
    pairs = combinations(range(len(skills)), 2)
    found = [(skills[i], skills[j], float(cosines[i, j])) for i, j in pairs]
    return [pair for pair in found if pair[2] >= threshold or pair[0].says_the_same_as(pair[1])]


def without(skills: Sequence[Skill], deaths: Sequence[Removal]) -> list[Skill]:
    gone = {death.skill for death in deaths}
    return [skill for skill in skills if skill.id not in gone]


def prune(
    state: LearnerState, skills: Sequence[Skill], maintenance: Maintenance, embedder: Embedder
) -> tuple[LearnerState, list[Pruned]]:
    """The state whose pool is what maintenance leaves of `skills`, and an event for each death."""
    events: list[Pruned] = []
    deaths = dict(state.deaths)
    for death in maintenance.deaths(skills, state, embedder):
        score = state.score(death.skill)
        now = state.iteration + 1
        events.append(Pruned(iteration=now, skill=death.skill, why=death.why, score=score.value, n=score.n))
        if score.n:
            deaths[death.skill] = score.value
    gone = {event.skill for event in events}
    alive = [skill for skill in skills if skill.id not in gone]
    ids = {skill.id for skill in alive}
    update = {
        "pool": SkillPool.of(alive, state.pool.capacity),
        "buffer": {skill: kept for skill, kept in state.buffer.items() if skill in ids and kept},
        "cooldowns": {skill: until for skill, until in state.cooldowns.items() if skill in ids},
        "born": {skill: since for skill, since in state.born.items() if skill in ids},
        "deaths": deaths,
    }
    return state.model_copy(update=update), events


MaintenanceFactory = Callable[[int], Maintenance]
"""Makes a maintenance rule from the number of trajectories after which a score counts."""

MAINTENANCE: dict[str, MaintenanceFactory] = {
    "always": Always,
    "over-capacity": lambda evidence: OverCapacity(Always(evidence)),
    "lower-bound": lambda evidence: LowerBound(),
    "fifo": lambda evidence: FirstInFirstOut(),
}
