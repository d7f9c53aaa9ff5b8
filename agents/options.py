"""Options: the Skill-MDP's inner loop as a guide. One skill at a time, kept until it ends (paper section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agents.guide import Guidance, State
from agents.models.model import Model, Request, Sampling
from agents.prompts import skill_text, termination_question
from agents.selection import Selection, Selector
from agents.skill import Skill
from environments.grammar import Choices


class Termination(Protocol):
    """β (and I no longer holding): is the active skill done in this state? Says so with the LLM calls it took."""

    async def done(self, skill: Skill, state: State) -> tuple[bool, int]: ...


@dataclass(frozen=True)
class ByJudgement:
    """The acting model answers "stop" or "continue"."""

    model: Model

    async def done(self, skill: Skill, state: State) -> tuple[bool, int]:
        request = Request(
            termination_question(skill, state.observation),
            Choices(("continue", "stop")),
            Sampling(temperature=0.0, max_tokens=8),
        )
        return (await self.model.generate(request)).text == "stop", 1


class ByAge:
    """Never by β: the skill is kept to its maximum age. Costs no call."""

    async def done(self, skill: Skill, state: State) -> tuple[bool, int]:
        return False, 0


TerminationFactory = Callable[[Model], Termination]

TERMINATIONS: dict[str, TerminationFactory] = {"judgement": ByJudgement, "age": lambda model: ByAge()}


class Exploration(Protocol):
    """While learning only: sometimes another choice than the selector's; None leaves the choice to it."""

    def explore(self, skills: Sequence[Skill], rng: np.random.Generator) -> Selection | None: ...


class Greedy:
    """Always the selector's choice, as in every evaluation."""

    def explore(self, skills: Sequence[Skill], rng: np.random.Generator) -> Selection | None:
        return None


@dataclass(frozen=True)
class EpsilonGreedy:
    """With chance ε, any skill or none, all equally likely."""

    epsilon: float

    def explore(self, skills: Sequence[Skill], rng: np.random.Generator) -> Selection | None:
        if rng.random() >= self.epsilon:
            return None
        index = int(rng.integers(len(skills) + 1))
        return Selection(skills[index] if index < len(skills) else None)


class SkillOptions:
    """μ and β over a fixed set of skills, for one seat of one episode.

    `max_age` is the number of steps after which a skill hands back in any case (official code: 8).
    """

    def __init__(
        self,
        skills: Sequence[Skill],
        selector: Selector,
        termination: Termination,
        rng: np.random.Generator,
        *,
        exploration: Exploration | None = None,
        max_age: int = 8,
        wording: Callable[[Skill], str] = skill_text,
    ) -> None:
        self._skills = tuple(skills)
        self._selector = selector
        self._termination = termination
        self._rng = rng
        self._exploration = exploration or Greedy()
        self._max_age = max_age
        self._wording = wording
        self._active: Skill | None = None
        self._age = 0

    async def guide(self, state: State) -> Guidance:
        calls = 0
        if self._active is not None:
            over, calls = (True, 0) if self._age >= self._max_age else await self._termination.done(self._active, state)
            if over:
                self._active = None
        started = explored = False
        if self._active is None and self._skills:
            selection = self._exploration.explore(self._skills, self._rng)
            explored = selection is not None
            if selection is None:
                selection = await self._selector.select(state, self._skills, self._rng)
            self._active, self._age = selection.skill, 0
            started = selection.skill is not None
            calls += selection.calls
        if self._active is None:
            return Guidance(explored=explored, calls=calls)
        self._age += 1
        active = self._active
        return Guidance(self._wording(active), (active.id,), active.id, started, explored, calls)

    def reset(self) -> None:
        self._active = None
        self._age = 0
