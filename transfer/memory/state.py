"""`LearnerState`: all that learning knows between two iterations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import BaseModel, ConfigDict

from transfer.memory.events.contents import Seeded
from transfer.memory.events.event import Event
from transfer.memory.events.line import SkillTexts
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool


class Score(BaseModel):
    """Online score of one skill (paper section 4.4): ΣG over ΣN."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gain: float = 0.0
    """ΣG: summed gains over the baseline."""
    n: int = 0
    """ΣN: what the gains are counted over (trajectories or calls, as the credit rule says)."""
    calls: int = 0
    steps: int = 0

    @property
    def value(self) -> float:
        return self.gain / max(1, self.n)


class Baseline(BaseModel):
    """R̄ of one task: the running mean of its returns over `n` episodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    n: int


@dataclass(frozen=True)
class MemoryState:
    """What a learner of any memory but the pool knows between two iterations: all of it is in the memory."""

    memory: Memory
    iteration: int = 0
    """Iterations finished."""
    extra: int = 0
    """Episodes played beside those of each iteration (retries, validations), which are taken off later ones."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict[str, Baseline])
    returns: tuple[float, ...] = ()
    """Mean return of each iteration's episodes."""


class LearnerState(BaseModel):
    """Small and JSON-serialisable: trajectories stand in it by id only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: SkillPool
    iteration: int = 0
    """Iterations finished."""
    scores: Mapping[str, Score] = {}
    baselines: Mapping[str, Baseline] = {}
    buffer: Mapping[str, tuple[str, ...]] = {}
    """Per skill: ids of trajectories in which it was active, oldest first, not yet spent on an evolution."""
    cooldowns: Mapping[str, int] = {}
    """Per skill: the first iteration at which it may be a parent again."""
    born: Mapping[str, int] = {}
    """Per skill of the pool: the iteration of its admission."""
    deaths: Mapping[str, float] = {}
    """Per pruned skill that had been tried: its online score when it was pruned."""
    outcomes: Mapping[str, int] = {}
    """How many verdicts the gate gave, by outcome."""
    returns: tuple[float, ...] = ()
    """Mean return of each iteration's episodes."""
    warned: tuple[str, ...] = ()
    """Failure signatures that have been reported; each is reported once."""
    extra: int = 0
    """Episodes played beside those of each iteration (duels), which are taken off later ones."""

    @classmethod
    def begin(cls, pool: SkillPool) -> Self:
        """Before the first iteration."""
        return cls(pool=pool, born=dict.fromkeys(pool.ids, 0))

    @property
    def memory(self) -> SkillPool:
        return self.pool

    def seed_events(self) -> list[Event]:
        """At the first iteration: one event for each skill the learner began with."""
        if self.iteration:
            return []
        return [
            Seeded(iteration=0, skill=skill.id, parents=skill.parents, texts=SkillTexts.of(skill))
            for skill in self.pool.each()
        ]

    def hold(self, pool: SkillPool, round: int) -> Self:
        """The state with another pool: newcomers are born in `round`; scores of what went are kept for the record."""
        return self.model_copy(
            update={
                "pool": pool,
                "born": {skill: self.born.get(skill, round) for skill in pool.ids},
                "buffer": {skill: ids for skill, ids in self.buffer.items() if skill in pool},
                "cooldowns": {skill: until for skill, until in self.cooldowns.items() if skill in pool},
            }
        )

    def score(self, skill: str) -> Score:
        return self.scores.get(skill, Score())

    def value_estimate(self, skill: str) -> float:
        """A skill's online score; of an untried one the best of its parents', else 0."""
        known = self.score(skill)
        if known.n:
            return known.value
        parents = self.pool.get(skill).parents if skill in self.pool else ()
        return max((self.score(parent).value for parent in parents if self.score(parent).n), default=0.0)

    def age(self, skill: str) -> int:
        """Iterations since the skill's admission."""
        return self.iteration - self.born.get(skill, 0)
