"""Upkeep of a member's pool around an exchange: what is weeded out, and who makes room for a newcomer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from transfer.state import LearnerState


def esteem(state: LearnerState, skill: str) -> float:
    """What a member thinks of a skill: its online score; of an untried one what it thinks of its parents, else 0."""
    known = state.score(skill)
    if known.n:
        return known.value
    parents = state.pool.get(skill).parents if skill in state.pool else ()
    return max((state.score(parent).value for parent in parents if state.score(parent).n), default=0.0)


class Upkeep(Protocol):
    """Which skills go. It never empties a pool."""

    def weeds(self, state: LearnerState) -> list[str]:
        """Skills to drop now, whoever made them."""
        ...

    def victim(self, state: LearnerState) -> str | None:
        """Who makes room in a full pool; None refuses the newcomer."""
        ...


@dataclass(frozen=True)
class ByScore:
    """Paper section 4.5: drop what scored at or below 0 (after `evidence` trajectories); room by lowest score."""

    evidence: int = 2

    def weeds(self, state: LearnerState) -> list[str]:
        bad = [
            skill for skill in state.pool.ids if state.score(skill).n >= self.evidence and state.score(skill).value <= 0
        ]
        if len(bad) == len(state.pool):
            bad.remove(max(bad, key=lambda skill: (state.score(skill).value, skill)))
        return bad

    def victim(self, state: LearnerState) -> str | None:
        return min(state.pool.ids, key=lambda skill: (esteem(state, skill), state.born.get(skill, 0), skill))


@dataclass(frozen=True)
class ByAge:
    """First in, first out; nothing is judged (the ablation without scores)."""

    def weeds(self, state: LearnerState) -> list[str]:
        return []

    def victim(self, state: LearnerState) -> str | None:
        return min(state.pool.ids, key=lambda skill: (state.born.get(skill, 0), skill))


@dataclass(frozen=True)
class Never:
    """Nothing ever goes; a full pool takes no newcomer."""

    def weeds(self, state: LearnerState) -> list[str]:
        return []

    def victim(self, state: LearnerState) -> str | None:
        return None


UPKEEPS: dict[str, Callable[[], Upkeep]] = {"score": ByScore, "fifo": ByAge, "never": Never}
