"""`Learner`: what happens to a pool between two batches of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from transfer.memory.events import Event
from transfer.memory.experience import Recall, Trajectory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


class Learner(Protocol):
    """Deterministic given its arguments (and its models' answers): learning resumes at the last finished iteration."""

    def begin(self, pool: SkillPool) -> LearnerState: ...

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall
    ) -> tuple[LearnerState, list[Event]]:
        """One iteration's learning from the episodes just played with `state.pool`."""
        ...
