"""`LearnerState` and `Event`: all that learning knows between two iterations, and all that it says while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from transfer.memory.pool import SkillPool

EventKind = Literal[
    "seeded",  # a skill stood in the first pool; payload: the skill
    "scored",  # a skill's online score after this iteration's episodes
    "baseline",  # a task's running baseline R̄
    "skipped",  # something was left out; payload: why
    "gradient",  # semantic gradient of one trajectory
    "aggregate",  # what the gradients of one skill have in common
    "candidate",  # a proposed skill; payload: the skill, mode
    "verdict",  # the gate's judgement of a candidate; payload: J, ΔJ, noise, outcome, reason
    "admitted",  # birth
    "pruned",  # death; payload: reason, score
    "gift",  # a skill received from another agent; written by the exchange
    "planted",  # a harmful skill put into a pool by the study; payload: the skill, which poison
    "lost",  # an agent whose model is gone; payload: why
    "warning",  # a failure signature
]


class Event(BaseModel):
    """One line of `events.jsonl`. `skill` is the id of the skill it is about, "" where it is about none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: EventKind
    iteration: int
    skill: str = ""
    parents: tuple[str, ...] = ()
    """Ids of the skills the subject was made from."""
    trajectories: tuple[str, ...] = ()
    """Ids of the trajectories that are the evidence."""
    payload: dict[str, JsonValue] = {}


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

    def score(self, skill: str) -> Score:
        return self.scores.get(skill, Score())

    def age(self, skill: str) -> int:
        """Iterations since the skill's admission."""
        return self.iteration - self.born.get(skill, 0)
