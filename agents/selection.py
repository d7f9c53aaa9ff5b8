"""Selectors μ: which skill to start in a state (paper section 3). All are frozen; none learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from agents.embedding import Embedder
from agents.guide import State
from agents.models.model import Model, Request, Sampling, Utterance
from agents.prompts import selection_question
from agents.skill import Skill
from environments.grammar import Choices

NONE = "NONE"


class Selection(NamedTuple):
    skill: Skill | None
    calls: int = 0


class Selector(Protocol):
    """Chooses among `skills` (never empty), or none of them."""

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection: ...


class Value(NamedTuple):
    """Q of a skill: its mean gain so far and the number of segments it comes from."""

    mean: float
    tries: int


@dataclass(frozen=True)
class BySimilarity:
    """argmax over skills of the cosine between the state and I_ω."""

    embedder: Embedder

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        return Selection(skills[int(np.argmax(_similarities(self.embedder, state, skills)))])


@dataclass(frozen=True)
class ByModel:
    """An LLM judge names one skill or NONE, under a grammar of exactly these names."""

    model: Model

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        by_name = _named(skills)
        request = Request(
            selection_question(by_name, state.observation),
            Choices((*by_name, NONE)),
            Sampling(temperature=0.0, max_tokens=64),
        )
        answer = await self.model.generate(request)
        return Selection(by_name.get(answer.text), calls=1)


@dataclass(frozen=True)
class ByLikelihood:
    """The skill whose name (or NONE) the LLM finds likeliest as the answer, per token."""

    model: Model

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        by_name = _named(skills)
        question = selection_question(by_name, state.observation)
        names = [*by_name, NONE]
        likelihoods = await self.model.score([Utterance(question, name) for name in names])
        best = max(range(len(names)), key=lambda index: likelihoods[index].mean)
        return Selection(by_name.get(names[best]), calls=1)


@dataclass(frozen=True)
class TopKValue:
    """The `k` most similar skills, then argmax of a lower confidence bound on their value.

    LCB = mean gain − width · sqrt(log(1 + t) / n), t the segments of all skills (official code: width 0.2).
    A skill never tried has bound 0, the gain of doing without.
    """

    embedder: Embedder
    values: Mapping[str, Value]
    k: int = 3
    width: float = 0.2

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        similarities = _similarities(self.embedder, state, skills)
        nearest = np.argsort(-similarities, kind="stable")[: self.k]
        return Selection(max((skills[int(index)] for index in nearest), key=self._bound))

    def _bound(self, skill: Skill) -> float:
        value = self.values.get(skill.id)
        if value is None or value.tries == 0:
            return 0.0
        tried = sum(other.tries for other in self.values.values())
        return value.mean - self.width * math.sqrt(math.log1p(tried) / value.tries)


class AtRandom:
    """Any skill with equal chance: the null that a reuse rate is compared with."""

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        return Selection(skills[int(rng.integers(len(skills)))])


class Never:
    """No skill, ever."""

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        return Selection(None)


SelectorFactory = Callable[[Model, Embedder, Mapping[str, Value]], Selector]
"""Makes the selector of one seat from the acting model, an embedder and the skills' values so far."""

SELECTORS: dict[str, SelectorFactory] = {
    "similarity": lambda model, embedder, values: BySimilarity(embedder),
    "model": lambda model, embedder, values: ByModel(model),
    "likelihood": lambda model, embedder, values: ByLikelihood(model),
    "top-k-value": lambda model, embedder, values: TopKValue(embedder, values),
    "random": lambda model, embedder, values: AtRandom(),
    "none": lambda model, embedder, values: Never(),
}


def _similarities(embedder: Embedder, state: State, skills: Sequence[Skill]) -> np.ndarray:
    vectors = embedder.embed([skill.activation for skill in skills])
    return vectors @ embedder.embed([state.observation])[0]


def _named(skills: Sequence[Skill]) -> dict[str, Skill]:
    """Skills by name; a second skill of the same name is told apart by its id."""
    names: dict[str, Skill] = {}
    for skill in skills:
        names[f"{skill.name} {skill.id}" if skill.name in names or skill.name == NONE else skill.name] = skill
    return names
