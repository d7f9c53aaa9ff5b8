"""Doors and signs: the control family, whose truth is known beforehand.

Which door belongs to which sign is arbitrary and fixed for ever, so experience of earlier episodes is necessary and
sufficient. The signs of one episode tell nothing about each other (each is shown once, and for all the player knows
several may share a door); doors and signs are paired one to one, so that a player who always names the same door is
right exactly one time in four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from environments.grammar import Choices
from environments.spec import EnvSpec
from environments.world import World, world

COLOURS = ("red", "green", "blue", "black")
RULE: Mapping[str, str] = {"owl": "green", "key": "blue", "bell": "black", "ship": "red"}
INVERTED: Mapping[str, str] = {"owl": "blue", "key": "black", "bell": "red", "ship": "green"}
"""No sign keeps its door."""
SIGNS = tuple(RULE)
GRAMMAR = Choices(tuple(f"[{colour}]" for colour in COLOURS))


def fixed(rng: np.random.Generator) -> Mapping[str, str]:
    return RULE


def inverted(rng: np.random.Generator) -> Mapping[str, str]:
    return INVERTED


def chance(rng: np.random.Generator) -> Mapping[str, str]:
    """Every sign's door drawn anew: nothing can be learned."""
    return {sign: COLOURS[index] for sign, index in zip(SIGNS, rng.integers(len(COLOURS), size=4), strict=True)}


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts of one sibling. `rules` may use {rounds}; `ask` {round}, {rounds}, {sign}; `tell` {sign}, {colour}."""

    rules: str
    ask: str
    tell: str


PLAIN = Wording(
    rules=(
        "You stand before four doors: red, green, blue and black. In each of {rounds} rounds a sign is shown, and "
        "exactly one door is right for it; several signs may share a door. Answer with the colour of a door in square "
        "brackets, like [colour]. Every right door pays 1/{rounds}."
    ),
    ask="Round {round} of {rounds}. The sign shows: {sign}. Which door do you open?",
    tell="The right door for {sign} was {colour}.",
)
PARCELS = Wording(
    rules=(
        "You sort parcels into four chutes: red, green, blue and black. Each of {rounds} parcels bears a stamp, and "
        "only one chute is correct for that stamp; several stamps may share a chute. Write the colour of a chute in "
        "square brackets, like [colour]. Every correct chute pays 1/{rounds}."
    ),
    ask="Parcel {round} of {rounds} bears the stamp: {sign}. Into which chute does it go?",
    tell="Parcels stamped {sign} belonged into the {colour} chute.",
)


class Doors(World):
    """An episode: the signs in an order drawn from the seed, `passes` times over.

    `rule` gives each sign's door in this episode. With several passes the right doors are told only at the end,
    or the second pass could copy the first.
    """

    grammar = GRAMMAR

    def __init__(
        self,
        rule: Callable[[np.random.Generator], Mapping[str, str]] = fixed,
        wording: Wording = PLAIN,
        passes: int = 1,
    ) -> None:
        self.rounds = passes * len(SIGNS)
        self.rules = wording.rules.format(rounds=self.rounds)
        self._rule, self._wording, self._passes = rule, wording, passes

    def deal(self, rng: np.random.Generator) -> None:
        self._signs = [SIGNS[index] for _ in range(self._passes) for index in rng.permutation(len(SIGNS))]
        self._doors = self._rule(rng)
        self._right = 0

    def question(self, round: int) -> str:
        return self._wording.ask.format(round=round + 1, rounds=self.rounds, sign=self._signs[round])

    def answer(self, round: int, move: str) -> tuple[str, float]:
        sign = self._signs[round]
        right = move == self._doors[sign]
        self._right += right
        feedback = [f"{'Right' if right else 'Wrong'}.", self._tell(sign)] if self._passes == 1 else []
        if round + 1 == self.rounds:
            feedback += [] if self._passes == 1 else map(self._tell, SIGNS)
            feedback.append(f"{self._right} of {self.rounds} right.")
        return " ".join(feedback), right / self.rounds

    def _tell(self, sign: str) -> str:
        return self._wording.tell.format(sign=sign, colour=self._doors[sign])


def _doors(id: str, difficulty: int, summary: str, build: Callable[[], Doors] = Doors) -> EnvSpec:
    rounds = build().rounds
    return world(id, build, rounds=rounds, grammar=GRAMMAR, family="Doors", difficulty=difficulty, summary=summary)


DOORS: tuple[EnvSpec, ...] = (
    _doors("Doors-v0", 0, "Positive control: which door belongs to which sign can only be learned from experience."),
    _doors(
        "Doors-v0-reworded", 1, "Doors-v0 in other words, the same rule: transfer must help.",
        lambda: Doors(wording=PARCELS),
    ),
    _doors(
        "Doors-v0-long", 2, "Doors-v0 over 8 rounds, told at the end only, the same rule: transfer must help.",
        lambda: Doors(passes=2),
    ),
    _doors(
        "Doors-v0-inverted", 3, "Doors-v0 with a rule under which each of its answers is wrong: transfer must harm.",
        lambda: Doors(rule=inverted),
    ),
    _doors(
        "Doors-v0-chance", 4, "Negative control: the right doors are drawn anew in every episode; nothing may help.",
        lambda: Doors(rule=chance),
    ),
)  # fmt: skip
