"""Doors: two control families whose truth is known beforehand.

In both, what is right is arbitrary and fixed for ever, so experience of earlier episodes is necessary and sufficient.

- Doors: each sign has its door. It takes a model that can look up a sign in a skill (1.5 B parameters do). The signs of
  an episode tell nothing about each other (each is shown once, and for all the player knows several may share a door);
  signs and doors are paired one to one, so that a player who always names the same door is right one time in four.
- OneDoor: the same door is right in every round, which is told only when the episode is over. Following "always open
  the … door" is within reach of models of 135 M parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from environments.games.rounds import RoundGame, round_game
from environments.grammar import Choices
from environments.spec import EnvSpec

COLOURS = ("red", "green", "blue", "black")
RULE: Mapping[str, str] = {"owl": "green", "key": "blue", "bell": "black", "ship": "red"}
INVERTED: Mapping[str, str] = {"owl": "blue", "key": "black", "bell": "red", "ship": "green"}
"""No sign keeps its door."""
SIGNS = tuple(RULE)
Rule = Callable[[np.random.Generator], Mapping[str, str]]
"""Gives each sign's door in one episode."""
GRAMMAR = Choices(tuple(f"[{colour}]" for colour in COLOURS))


def fixed(rng: np.random.Generator) -> Mapping[str, str]:
    return RULE


def inverted(rng: np.random.Generator) -> Mapping[str, str]:
    return INVERTED


def chance(rng: np.random.Generator) -> Mapping[str, str]:
    """Every sign's door drawn anew: nothing can be learned."""
    return {sign: COLOURS[index] for sign, index in zip(SIGNS, rng.integers(len(COLOURS), size=4), strict=True)}


def one(colour: str) -> Rule:
    """The same door, whatever the sign."""
    return lambda rng: dict.fromkeys(SIGNS, colour)


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts of one sibling. `rules` may use {rounds}; `ask` {round}, {rounds}, {sign}; the others {sign}, {colour}."""

    rules: str
    ask: str
    tell: str
    sum_up: str = ""
    """How the last reply begins to say all that could be learned, in words that models of 1.5 B parameters can copy."""


PLAIN = Wording(
    rules=(
        "You stand before four doors: red, green, blue and black. In each of {rounds} rounds a sign is shown, and "
        "exactly one door is right for it; several signs may share a door. Answer with the colour of a door in square "
        "brackets, like [colour]. Every right door pays 1/{rounds}."
    ),
    ask="Round {round} of {rounds}. The sign shows: {sign}. Which door do you open?",
    tell="The right door for {sign} was {colour}.",
    sum_up="Looking back: if the sign shows {sign}, the right door is {colour}",
)
PARCELS = Wording(
    rules=(
        "You sort parcels into four chutes: red, green, blue and black. Each of {rounds} parcels bears a stamp, and "
        "only one chute is correct for that stamp; several stamps may share a chute. Write the colour of a chute in "
        "square brackets, like [colour]. Every correct chute pays 1/{rounds}."
    ),
    ask="Parcel {round} of {rounds} bears the stamp: {sign}. Into which chute does it go?",
    tell="Parcels stamped {sign} belonged into the {colour} chute.",
    sum_up="Looking back: if the stamp is {sign}, the correct chute is {colour}",
)


UNSIGNED = Wording(
    rules=(
        "You stand before four doors: red, green, blue and black. In each of {rounds} rounds exactly one is right. "
        "Answer with the colour of a door in square brackets, like [colour]. Every right door pays 1/{rounds}; which "
        "ones were right is told at the end."
    ),
    ask="Round {round} of {rounds}. Which door do you open?",
    tell="The {colour} door was right.",
)
SWITCHES = Wording(
    rules=(
        "A machine has four switches: red, green, blue and black. {rounds} times you press one of them, and each time "
        "only one makes it run. Write the colour of a switch in square brackets, like [colour]. Every run pays "
        "1/{rounds}; which switches were correct is told at the end."
    ),
    ask="Press number {round} of {rounds}. Which switch?",
    tell="The {colour} switch was correct.",
)


class Doors(RoundGame):
    """An episode: the signs in an order drawn from the seed, `passes` times over.

    `late` tells the right doors only when all is over: else a sign or door that returns would teach itself.
    """

    grammar = GRAMMAR

    def __init__(self, rule: Rule = fixed, wording: Wording = PLAIN, *, passes: int = 1, late: bool = False) -> None:
        self.rounds = passes * len(SIGNS)
        self.rules = wording.rules.format(rounds=self.rounds)
        self._rule, self._wording, self._passes, self._late = rule, wording, passes, late

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
        feedback = [] if self._late else ["Right." if right else "Wrong.", self._tell(sign)]
        if round + 1 == self.rounds:
            feedback += dict.fromkeys(map(self._tell, self._signs)) if self._late else []
            feedback.append(f"{self._right} of {self.rounds} right.")
            if self._wording.sum_up:
                feedback.append(self._sum_up())
        return " ".join(feedback), right / self.rounds

    def _sum_up(self) -> str:
        first, *others = SIGNS
        first_rule = self._wording.sum_up.format(sign=first, colour=self._doors[first])
        return "; ".join([first_rule, *(f"if {sign}, {self._doors[sign]}" for sign in others)]) + "."

    def _tell(self, sign: str) -> str:
        return self._wording.tell.format(sign=sign, colour=self._doors[sign])


def _doors(
    id: str, difficulty: int, summary: str, build: Callable[[], Doors] = Doors, *, seeded: bool = True
) -> EnvSpec:
    return round_game(
        id,
        build,
        rounds=build().rounds,
        grammar=GRAMMAR,
        family=id.partition("-")[0],
        difficulty=difficulty,
        summary=summary,
        seeded=seeded,
    )


DOORS: tuple[EnvSpec, ...] = (
    _doors("Doors-v0", 0, "Positive control: which door belongs to which sign can only be learned from experience."),
    _doors(
        "Doors-v0-reworded", 1, "Doors-v0 in other words, the same rule: transfer must help.",
        lambda: Doors(wording=PARCELS),
    ),
    _doors(
        "Doors-v0-long", 2, "Doors-v0 over 8 rounds, told at the end only, the same rule: transfer must help.",
        lambda: Doors(passes=2, late=True),
    ),
    _doors(
        "Doors-v0-inverted", 3, "Doors-v0 with a rule under which each of its answers is wrong: transfer must harm.",
        lambda: Doors(rule=inverted),
    ),
    _doors(
        "Doors-v0-chance", 4, "Negative control: the right doors are drawn anew in every episode; nothing may help.",
        lambda: Doors(rule=chance),
    ),
    _doors(
        "OneDoor-v0", 0, "Positive control for tiny models: the same door is always right, told at the end only.",
        lambda: Doors(one("green"), UNSIGNED, late=True), seeded=False,
    ),
    _doors(
        "OneDoor-v0-reworded", 1, "OneDoor-v0 in other words, the same door: transfer must help.",
        lambda: Doors(one("green"), SWITCHES, late=True), seeded=False,
    ),
    _doors(
        "OneDoor-v0-inverted", 2, "OneDoor-v0 with another door: transfer must harm.",
        lambda: Doors(one("blue"), UNSIGNED, late=True), seeded=False,
    ),
    _doors(
        "OneDoor-v0-chance", 3, "Negative control: the right door is drawn anew in every round; nothing may help.",
        lambda: Doors(chance, UNSIGNED, late=True),
    ),
)  # fmt: skip
