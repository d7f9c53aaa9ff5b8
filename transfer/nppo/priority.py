"""Priority: which skills are worth evolving now (paper section 4.2: impact, gap, evidence, cooldown)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from transfer.memory.state import LearnerState


class Priority(Protocol):
    def parents(self, state: LearnerState, batch: int) -> list[str]:
        """The skills to evolve, most urgent first, each with at least `batch` buffered trajectories."""
        ...


@dataclass(frozen=True)
class ByPotential:
    """impact × gap × evidence: much used, far below the best, and well known.

    impact = 1 − e^(−calls/50), evidence = 1 − e^(−n/30), gap = distance to the best score among the tried, as a share
    of the spread, never below `floor`: the best skill can be refined too, only later than the others.
    """

    most: int = 2
    floor: float = 0.1

    def parents(self, state: LearnerState, batch: int) -> list[str]:
        now = state.iteration + 1
        ready = [
            skill
            for skill in state.pool.ids
            if len(state.buffer.get(skill, ())) >= batch and state.cooldowns.get(skill, 0) <= now
        ]
        values = [state.score(skill).value for skill in state.pool.ids if state.score(skill).n]
        top, spread = max(values, default=0.0), max(values, default=0.0) - min(values, default=0.0)

        def urgency(skill: str) -> float:
            score = state.score(skill)
            gap = max(self.floor, (top - score.value) / spread if spread > 0 else 0.0)
            return gap * (1 - math.exp(-score.calls / 50)) * (1 - math.exp(-score.n / 30))

        return sorted(ready, key=lambda skill: (-urgency(skill), skill))[: self.most]


@dataclass(frozen=True)
class AsReleased:
    """The official code's: nothing below 15 calls or within .01 of the best, and age counts against a skill.

    Skills of priority 0 are still evolved when no other is ready, as there.
    """

    most: int = 2
    proven: int = 15
    elite: float = 0.01

    def parents(self, state: LearnerState, batch: int) -> list[str]:
        ready = [skill for skill in state.pool.ids if len(state.buffer.get(skill, ())) >= batch]
        mature = [state.score(skill).value for skill in state.pool.ids if state.score(skill).calls >= self.proven]
        top = max(mature, default=0.0)

        def urgency(skill: str) -> float:
            score = state.score(skill)
            gap = max(0.0, top - score.value)
            if score.calls < self.proven or gap <= self.elite:
                return 0.0
            if state.cooldowns.get(skill, 0) > state.iteration + 1:
                return -0.01
            impact, confidence = 1 - math.exp(-score.calls / 50), 1 - math.exp(-score.calls / 30)
            return impact * confidence * gap * math.exp(-state.age(skill) / 8)

        return sorted(ready, key=lambda skill: (-urgency(skill), skill))[: self.most]


PriorityFactory = Callable[[int], Priority]
"""Makes a priority from the most parents of one iteration."""

PRIORITIES: dict[str, PriorityFactory] = {
    "potential": lambda most: ByPotential(most=most),
    "as-released": lambda most: AsReleased(most=most),
}
