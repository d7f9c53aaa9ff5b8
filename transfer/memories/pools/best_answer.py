"""`BestAnswer`: a learner without a language model, for real ones that only have to obey: it notes what paid most.

What it writes is a fact of the agent's own games, in words of ours. So whose skills help whom is a question of acting
alone: of what an agent has tried, and of who does what a text says. It fits games in which the same answer is right
for ever and is paid at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.skill import Skill
from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.memories.pools.rewriting import iterated, write_down
from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Step, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

NAME = "What paid"


class Tried(NamedTuple):
    """An answer, how often it was given and how often it paid."""

    answer: str
    times: int
    paid: int


@dataclass(frozen=True)
class BestAnswer:
    """After each iteration the answer that paid most often of the times it was given, if any paid, is the skill."""

    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)

    def begin(self, pool: SkillPool) -> LearnerState:
        return LearnerState.begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[LearnerState, list[Event]]:
        state, scored = observe(state, fresh, self.credit, self.baseline)
        events = [*state.seed_events(), *scored]
        best = most_paying([step for trajectory in fresh for step in trajectory.steps])
        pool = state.pool
        if best is not None:
            parent = next((skill for skill in pool.each() if skill.name == NAME), None)
            skill = written(best, parent)
            if parent is None or not skill.says_the_same_as(parent):
                evidence = tuple(trajectory.id for trajectory in fresh)
                pool, changes = write_down(state, skill, parent, evidence)
                events += changes
        return iterated(state, pool), events


def most_paying(steps: Sequence[Step]) -> Tried | None:
    """The answer that paid in the largest share of its times; of equals the one given more often, then the first."""
    given: dict[str, list[bool]] = {}
    for step in steps:
        given.setdefault(step.action, []).append(step.reward > 0)
    tried = [Tried(answer, len(paid), sum(paid)) for answer, paid in given.items() if any(paid)]
    return max(tried, key=lambda each: (each.paid / each.times, each.times), default=None)


def written(best: Tried, parent: Skill | None) -> Skill:
    """The answer as a skill."""
    return Skill(
        name=NAME,
        activation="An answer is asked for.",
        procedure=f"Answer {best.answer}: it paid {best.paid} of the {best.times} times it was given.",
        termination="It no longer pays.",
        parents=(parent.id,) if parent is not None else (),
    )
