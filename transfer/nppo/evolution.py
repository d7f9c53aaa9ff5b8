"""`Evolution`: one parent's attempt at an offspring, with everything said on the way; and its end in the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.embedding import Embedder
from agents.skill import Skill
from transfer.gate.gate import Verdict, best
from transfer.maintenance.rules import Maintenance, prune
from transfer.memory.events.contents import Admitted, Pruned
from transfer.memory.events.course import Skipped
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Judged
from transfer.memory.state import LearnerState
from transfer.nppo.proposal import Mode


@dataclass
class Evolution:
    """Collects the events of one attempt. `admitted` is the offspring the gate let in, if any."""

    parent: str
    iteration: int
    trajectories: tuple[str, ...]
    task: str = ""
    candidates: list[Skill] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    """The gate's, one per candidate, until `judged`."""
    events: list[Event] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    admitted: Skill | None = None
    mode: Mode = "REFINE"

    def note(
        self,
        kind: Callable[..., Event],
        *,
        skill: Skill | None = None,
        trajectories: tuple[str, ...] | None = None,
        **fields: Any,
    ) -> None:
        """Write an event of this class down; it is about the parent where no skill is given."""
        self.events.append(
            kind(
                iteration=self.iteration,
                skill=skill.id if skill else self.parent,
                parents=(self.parent,) if skill else (),
                trajectories=self.trajectories if trajectories is None else trajectories,
                **fields,
            )
        )

    def skip(self, why: str) -> Evolution:
        self.note(Skipped, why=why)
        return self

    def judged(self, verdicts: Sequence[Verdict]) -> Evolution:
        """Note the last word on each candidate; the best accepted one is admitted."""
        for skill, verdict in zip(self.candidates, verdicts, strict=True):
            self.note(Judged, skill=skill, **verdict.fields)
            self.outcomes.append(verdict.outcome)
        chosen = best(verdicts)
        if chosen is not None:
            self.admitted = next(skill for skill in self.candidates if skill.id == chosen.skill)
            self.note(Admitted, skill=self.admitted, mode=self.mode, objective=chosen.objective, change=chosen.change)
        return self


def settle(
    state: LearnerState,
    evolutions: Sequence[Evolution],
    maintenance: Maintenance,
    embedder: Embedder,
    *,
    keep: int,
    cooldown: int,
) -> tuple[LearnerState, list[Pruned]]:
    """Newcomers in, spent buffers out, then maintenance: the pool never holds more than K.

    A parent whose offspring was admitted starts a new buffer and rests for `cooldown` iterations; one that failed
    keeps its newest `keep` trajectories, so that its next attempt meets other evidence.
    """
    now = state.iteration + 1
    buffer, cooldowns, born = dict(state.buffer), dict(state.cooldowns), dict(state.born)
    outcomes = dict(state.outcomes)
    skills = {skill.id: skill for skill in state.pool.each()}
    for evolution in evolutions:
        for outcome in evolution.outcomes:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        offspring = evolution.admitted
        buffer[evolution.parent] = () if offspring else buffer[evolution.parent][-keep:]
        if offspring is not None:
            cooldowns[evolution.parent] = now + cooldown
            skills.setdefault(offspring.id, offspring)
            born.setdefault(offspring.id, now)
    grown = state.model_copy(
        update={"buffer": buffer, "cooldowns": cooldowns, "born": born, "outcomes": outcomes},
    )
    return prune(grown, list(skills.values()), maintenance, embedder)
