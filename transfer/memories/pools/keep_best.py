"""Selection without invention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.memories.pools.rewriting import iterated
from transfer.memory.events.contents import Pruned
from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


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
        return LearnerState.begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[LearnerState, list[Event]]:
        known, events = observe(state, fresh, self.credit, self.baseline)
        events = [*state.seed_events(), *events]
        now = state.iteration + 1
        pool = known.pool
        proven = [skill for skill in pool.ids if known.score(skill).n >= self.evidence]
        if len(pool) > max(1, self.keep) and proven:
            worst = min(proven, key=lambda skill: (known.score(skill).value, skill))
            events.append(Pruned(iteration=now, skill=worst, why="worst score", score=known.score(worst).value))
            pool = pool.remove(worst)
        return iterated(known, pool), events
