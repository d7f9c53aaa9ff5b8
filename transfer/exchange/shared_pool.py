"""`SharedPool`: one pool that many agents write at once. Writes are serial, versioned and lossless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from agents.skill import Skill
from transfer.maintenance.intake import Intake
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


@dataclass(frozen=True)
class PoolChange:
    """What one writer wants. Intents, not a whole pool: two writers' changes never overwrite each other."""

    author: str
    added: tuple[Skill, ...] = ()
    dropped: tuple[str, ...] = ()

    @classmethod
    def between(cls, author: str, before: SkillPool, after: SkillPool) -> PoolChange:
        """The change that made `after` of `before`."""
        return cls(
            author,
            tuple(skill for skill in after.each() if skill.id not in before),
            tuple(skill for skill in before.ids if skill not in after),
        )


class Snapshot(NamedTuple):
    """A version of the shared pool. Immutable: a reader never sees half a write."""

    version: int
    state: LearnerState
    """The pool, and everybody's evidence on its skills."""


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a change: every skill it names stands in `admitted`, `pruned` or `declined`."""

    version: int
    change: PoolChange
    admitted: tuple[str, ...]
    pruned: Mapping[str, str]
    """Skills that went, each with its reason: dropped by the writer, or made room."""
    declined: Mapping[str, str]
    """What was asked and not done, each with its reason."""


class SharedPool:
    """The shared pool. `write` may be called from any number of threads and tasks; each takes its turn.

    A skill asked to go goes only if everybody's evidence on it is not positive: one agent's bad luck does not take a
    skill from all. Whatever else goes goes by `intake`, on everybody's evidence.
    """

    def __init__(self, state: LearnerState, intake: Intake, *, round: int = 0, version: int = 0) -> None:
        self._upkeep = intake
        self._round = round
        self._snapshot = Snapshot(version, state)
        self._lock = Lock()

    def read(self) -> Snapshot:
        """The latest version, whole."""
        return self._snapshot

    def write(self, change: PoolChange) -> WriteOutcome:
        """Apply a change to the latest version, whatever version its writer had read."""
        with self._lock:
            version, state = self._snapshot.version + 1, self._snapshot.state
            pruned: dict[str, str] = {}
            declined: dict[str, str] = {}
            for skill in change.dropped:
                if skill not in state.pool:
                    declined[skill] = "it was pruned meanwhile"
                elif state.score(skill).value > 0:
                    declined[skill] = "it serves the others"
                elif len(state.pool) == 1:
                    declined[skill] = "it is the last one"
                else:
                    state = state.hold(state.pool.remove(skill), self._round)
                    pruned[skill] = "its writer dropped it"
            result = self._upkeep(state, change.added, self._round)
            pruned |= {event.skill: event.why for event in result.pruned}
            self._snapshot = Snapshot(version, result.state)
            return WriteOutcome(version, change, result.admitted, pruned, declined | result.declined)
