"""`Intake`: how a pool is kept around an exchange, by the same maintenance that its learner follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agents.embedding import Embedder
from agents.skill import Skill
from transfer.maintenance.rules import Maintenance, prune
from transfer.memory.events.contents import Pruned
from transfer.memory.state import LearnerState


class IntakeResult(NamedTuple):
    """A pool after intake: what came in, what had to go (an event each), and what found no room."""

    state: LearnerState
    admitted: tuple[str, ...]
    pruned: tuple[Pruned, ...]
    declined: dict[str, str]
    """Newcomers that did not come in, each with the reason."""


@dataclass(frozen=True)
class Intake:
    """A maintenance rule and the embedder it compares skills with."""

    maintenance: Maintenance
    embedder: Embedder

    def __call__(self, state: LearnerState, newcomers: Sequence[Skill], round: int) -> IntakeResult:
        """The state with the newcomers, and without what maintenance takes out; the pool never exceeds its capacity."""
        declined = {skill.id: "it is there already" for skill in newcomers if skill.id in state.pool}
        fresh = {skill.id: skill for skill in newcomers if skill.id not in state.pool}
        open_to_all = state.model_copy(update={"born": {**state.born, **dict.fromkeys(fresh, round)}})
        after, events = prune(open_to_all, [*state.pool.each(), *fresh.values()], self.maintenance, self.embedder)
        declined |= {event.skill: event.why for event in events if event.skill in fresh}
        pruned = tuple(event.model_copy(update={"iteration": round}) for event in events if event.skill not in fresh)
        return IntakeResult(after, tuple(id for id in fresh if id in after.pool), pruned, declined)
