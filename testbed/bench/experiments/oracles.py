"""Oracles of the control family: each knows the rule of the doors and stands in for one part of learning or acting.

What a skill says is read by a few patterns: which colour it names for a sign. That is the family's whole truth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import fmean
from typing import NamedTuple

import numpy as np

from agents.embedding import Embedder
from agents.guide import State
from agents.models.model import Message, Model
from agents.models.scripted import ScriptedModel
from agents.prompts import ACTING
from agents.selection import Selection, Value
from agents.skill import Skill
from environments.diagnostics.doors import COLOURS, INVERTED, RULE, SIGNS
from environments.grammar import Choices, Grammar
from transfer.gate.gate import Evidence, Gate, PPOGate, Verdict
from transfer.memory.experience import Segment
from transfer.memory.learner import PoolLearner
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import PAPER, NPPOConfig
from transfer.nppo.gradient import Critic, Gradient
from transfer.nppo.proposal import EvolutionRequest, Proposals
from transfer.registry import LearnerModels, nppo

NEGATIONS = ("not", "never", "avoid", "wrong")
GUESS = 1 / len(COLOURS)
"""What a player earns in a round of which a skill says nothing."""


def told(text: str, sign: str) -> str | None:
    """The colour that a skill's words name for a sign: the first after it and before the next sign.

    Words that speak of no sign at all name one colour for all of them. What is warned of ("never red") is not named.
    """
    words = re.findall(r"[a-z]+|[.,:;\n]", text.lower())
    places = [index for index, word in enumerate(words) if word == sign]
    if not places and not set(words) & set(SIGNS):
        places = [-1]
    for place in places:
        warned = False
        for word in takewhile(lambda word: word not in SIGNS, words[place + 1 :]):
            if word in COLOURS and not warned:
                return word
            warned = word in NEGATIONS or (warned and word.isalpha())
    return None


def shown(observation: str) -> str:
    """The sign that an observation asks about, its last one; "" where there is none."""
    found = re.findall("|".join(SIGNS), observation.lower())
    return found[-1] if found else ""


@dataclass(frozen=True)
class Truth:
    """Which door belongs to which sign; {"": door} where no sign is shown."""

    doors: Mapping[str, str]

    def right(self, text: str, sign: str) -> float:
        """Expected pay of a round for a player who does what the text says."""
        said = told(text, sign)
        return GUESS if said is None else float(said == self.doors[sign])

    def worth(self, skill: Skill) -> float:
        return fmean(self.right(skill.text, sign) for sign in self.doors)

    @property
    def lines(self) -> tuple[str, ...]:
        if "" in self.doors:
            return (f"Always answer {self.doors['']}",)
        return tuple(f"If the sign shows {sign}, answer {colour}" for sign, colour in self.doors.items())


@dataclass(frozen=True)
class TrueCritic:
    """In place of the critic: every trajectory's gradient is the whole truth."""

    truth: Truth

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient:
        whole = "; ".join(self.truth.lines)
        trajectory = spans[0].trajectory
        return Gradient(trajectory.id, trajectory.total, "The doors were not known.", True, procedure=whole)


@dataclass(frozen=True)
class TrueProposer:
    """In place of the proposer: one candidate, which says the truth."""

    truth: Truth

    async def __call__(self, batch: EvolutionRequest, seeds: Sequence[int]) -> Proposals:
        skill = Skill(
            name="The right doors",
            activation="A choice among red, green, blue and black is asked for.",
            procedure=" ".join(f"{place}. {line}." for place, line in enumerate(self.truth.lines, 1)),
            termination="The game ends.",
            parents=(batch.parent.id,) if batch.parent else (),
        )
        return Proposals(skills=(skill,))


@dataclass(frozen=True)
class TrueGate:
    """In place of the gate: lets in what is truly better than its parent."""

    truth: Truth

    async def judge(self, parent: Skill | None, candidates: Sequence[Skill], evidence: Evidence) -> list[Verdict]:
        known = GUESS if parent is None else self.truth.worth(parent)
        return [self._verdict(each.id, self.truth.worth(each) - known) for each in candidates]

    @staticmethod
    def _verdict(skill: str, gain: float) -> Verdict:
        outcome = "accepted" if gain > 1e-9 else "rejected"
        return Verdict(skill=skill, outcome=outcome, why=f"true gain {gain:+.3f}", objective=gain)


@dataclass(frozen=True)
class TrueSelector:
    """In place of the selector: the skill that says most about this very round, none where all are wrong."""

    truth: Truth

    async def select(self, state: State, skills: Sequence[Skill], rng: np.random.Generator) -> Selection:
        sign = shown(state.observation) if "" not in self.truth.doors else ""
        best = max(skills, key=lambda skill: self.truth.right(skill.text, sign))
        return Selection(best if self.truth.right(best.text, sign) >= GUESS else None)


def obedient() -> Model:
    """In place of the actor: does what the active skill says of the sign, and guesses where it says nothing."""

    def policy(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
        if not isinstance(grammar, Choices):
            return None
        _, found, skill = messages[0].content.rpartition(ACTING["skill"].format(skill=""))
        said = told(skill, shown(messages[-1].content)) if found else None
        if said is None:
            return dict.fromkeys(grammar.options, 1 / len(grammar.options))
        return {option: float(option == f"[{said}]") for option in grammar.options}

    return ScriptedModel("oracle: obedient", policy)


CriticFactory = Callable[[Model], Critic]
GateFactory = Callable[[Callable[[], PPOGate]], Gate]


class Oracles(NamedTuple):
    """The oracles of one truth, as a study names them."""

    critic: CriticFactory
    gate: GateFactory
    learner: Callable[..., PoolLearner]
    selector: Callable[..., TrueSelector]


def oracles(doors: Mapping[str, str]) -> Oracles:
    truth = Truth(doors)

    def true_candidates(
        minds: LearnerModels, seeds: np.random.SeedSequence, choices: NPPOConfig = PAPER
    ) -> PoolLearner:
        learner = nppo(minds, seeds, choices)
        assert isinstance(learner, NPPO)
        return replace(learner, proposer=TrueProposer(truth))

    def true_selector(model: Model, embedder: Embedder, values: Mapping[str, Value]) -> TrueSelector:
        return TrueSelector(truth)

    return Oracles(lambda model: TrueCritic(truth), lambda ppo_gate: TrueGate(truth), true_candidates, true_selector)


PLAIN_CRITIC, PLAIN_GATE, PLAIN_CANDIDATES, PLAIN_SELECTOR = oracles(RULE)
INVERTED_CRITIC, INVERTED_GATE, INVERTED_CANDIDATES, INVERTED_SELECTOR = oracles(INVERTED)
GREEN_CRITIC, GREEN_GATE, GREEN_CANDIDATES, GREEN_SELECTOR = oracles({"": "green"})
BLUE_CRITIC, BLUE_GATE, BLUE_CANDIDATES, BLUE_SELECTOR = oracles({"": "blue"})

TRUTHS: Mapping[str, str] = {
    "Doors-v0": "PLAIN",
    "Doors-v0-reworded": "PLAIN",
    "Doors-v0-long": "PLAIN",
    "Doors-v0-inverted": "INVERTED",
    "OneDoor-v0": "GREEN",
    "OneDoor-v0-reworded": "GREEN",
    "OneDoor-v0-inverted": "BLUE",
}
"""By game that can be learned: what the names of its oracles begin with."""
