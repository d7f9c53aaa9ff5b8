"""`Learner`: what happens to a pool between two batches of episodes; and the two that need no language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from agents.skill import Skill
from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool
from transfer.memory.state import Baseline, Event, LearnerState, Score

__all__ = ["Baseline", "Event", "Fixed", "KeepBest", "Learner", "LearnerState", "Recall", "Score", "begin", "seeded"]

Recall = Callable[[str], Trajectory]
"""Gives the trajectory of an id; raises KeyError for one that is not stored."""


class Learner(Protocol):
    """Deterministic given its arguments (and its models' answers): learning resumes at the last finished iteration."""

    def begin(self, pool: SkillPool) -> LearnerState: ...

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall
    ) -> tuple[LearnerState, list[Event]]:
        """One iteration's learning from the episodes just played with `state.pool`."""
        ...


def begin(pool: SkillPool) -> LearnerState:
    return LearnerState(pool=pool, born=dict.fromkeys(pool.ids, 0))


def seeded(state: LearnerState) -> list[Event]:
    """At the first iteration: one event for each skill the learner began with."""
    if state.iteration:
        return []
    return [
        Event(kind="seeded", iteration=0, skill=skill.id, parents=skill.parents, payload={"skill": words(skill)})
        for skill in state.pool.each()
    ]


def words(skill: Skill) -> dict[str, JsonValue]:
    """A skill's four texts, for events."""
    return {part: getattr(skill, part) for part in ("name", "activation", "procedure", "termination")}


@dataclass(frozen=True)
class Fixed:
    """No evolution: the pool stays as it is; scores are kept for the record (ablation "seed skills only")."""

    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)

    def begin(self, pool: SkillPool) -> LearnerState:
        return begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall
    ) -> tuple[LearnerState, list[Event]]:
        known, events = observe(state, fresh, self.credit, self.baseline)
        return known.model_copy(update={"iteration": state.iteration + 1, "buffer": {}}), [*seeded(state), *events]


@dataclass(frozen=True)
class KeepBest:
    """Selection without invention: each iteration drops the worst-scored skill until `keep` are left.

    A skill is dropped only after `evidence` trajectories of its own.
    """

    keep: int = 3
    evidence: int = 2
    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)

    def begin(self, pool: SkillPool) -> LearnerState:
        return begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall
    ) -> tuple[LearnerState, list[Event]]:
        known, events = observe(state, fresh, self.credit, self.baseline)
        events = [*seeded(state), *events]
        now = state.iteration + 1
        pool = known.pool
        proven = [skill for skill in pool.ids if known.score(skill).n >= self.evidence]
        if len(pool) > max(1, self.keep) and proven:
            worst = min(proven, key=lambda skill: (known.score(skill).value, skill))
            payload: dict[str, JsonValue] = {"why": "worst score", "score": known.score(worst).value}
            events.append(Event(kind="pruned", iteration=now, skill=worst, payload=payload))
            pool = pool.remove(worst)
        born = {skill: known.born.get(skill, now) for skill in pool.ids}
        return known.model_copy(update={"pool": pool, "iteration": now, "born": born, "buffer": {}}), events
