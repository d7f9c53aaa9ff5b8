"""No evolution: the pool stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


@dataclass(frozen=True)
class Fixed:
    """No evolution: the pool stays as it is; scores are kept for the record (ablation "seed skills only")."""

    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)

    def begin(self, pool: SkillPool) -> LearnerState:
        return LearnerState.begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[LearnerState, list[Event]]:
        known, events = observe(state, fresh, self.credit, self.baseline)
        return known.model_copy(update={"iteration": state.iteration + 1, "buffer": {}}), [
            *state.seed_events(),
            *events,
        ]
