"""`Learner`: what happens to a memory between two batches of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Trajectory
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


class Play(Protocol):
    async def __call__(
        self, memory: Memory | None, env_seeds: Sequence[int], /, *, paired: bool = False
    ) -> list[Trajectory]:
        """Plays these environment seeds with this memory, in this order, one episode each, and charges them to the
        learning budget: where less of it is left, the last ones are not played.

        A seed that stands there again is another attempt. `paired` games of one seed share their luck, whatever the
        memory: moves differ only where its words change their odds, so that a difference of two returns varies less.
        """
        ...


async def unplayable(memory: Memory | None, env_seeds: Sequence[int], /, *, paired: bool = False) -> list[Trajectory]:
    """For learners in a place where no further episodes can be had: there are none."""
    return []


class LearningState(Protocol):
    """What learning knows between two iterations."""

    @property
    def memory(self) -> Memory: ...
    @property
    def iteration(self) -> int:
        """Iterations finished."""
        ...

    @property
    def extra(self) -> int:
        """Episodes played so far beside those of each iteration."""
        ...


S = TypeVar("S", bound=LearningState)

AnyLearner: TypeAlias = "Learner[Any]"
PoolLearner: TypeAlias = "Learner[LearnerState]"


class Learner(Protocol[S]):
    """Deterministic given its arguments (and its models' answers): learning resumes at the last finished iteration."""

    def begin(self, pool: SkillPool) -> S:
        """Before the first iteration. `pool` is the study's seed pool, with which learners of a pool begin."""
        ...

    async def iterate(
        self, state: S, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[S, list[Event]]:
        """One iteration's learning from the episodes just played with `state.memory`."""
        ...
