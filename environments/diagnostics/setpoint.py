"""Setpoint: a control family whose actions are numbers. What is right is arbitrary, fixed and told only at the end.

Experience of earlier episodes is necessary and sufficient, as for the one right door (`OneDoor-v0`), but an answer may
be nearly right, and its return is a known function of the numbers written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from environments.games.numbers import Setting, Settings
from environments.games.rounds import RoundGame, round_game
from environments.spec import ChoiceError, EnvSpec

ROUNDS = 4
REACH = 3.0
"""Distance from the right setting at which a knob pays nothing any more."""
HEAT, TILT = (0.0, 10.0), (-5.0, 5.0)
RIGHT_HEAT, OTHER_HEAT, RIGHT_TILT = 7.3, 1.8, -3.4


def pay(values: NDArray[np.floating[Any]] | float, right: float) -> NDArray[np.float64]:
    """What a knob at each of these values pays in a round, before it is divided by rounds and knobs."""
    return np.maximum(0.0, 1 - np.abs(np.asarray(values) - right) / REACH)


class Setpoint(RoundGame):
    """Four rounds, each paying the mean over the knobs of max(0, 1 − |x − right| / 3), divided by the rounds.

    The knob of Setpoint-v0 drawn evenly from 0.0 to 10.0 earns 0.296 in the mean; left at 5.0 it earns 0.233.
    """

    rounds = ROUNDS

    def __init__(self, settings: Settings, right: Sequence[float]) -> None:
        self.settings, self._right, self.grammar = settings, tuple(right), settings.grammar
        knobs = " and ".join(part.name for part in settings.parts)
        each = "each of them" if len(settings.parts) > 1 else "it"
        self.rules = (
            f"A machine is set by numbers: {knobs}. In each of {ROUNDS} rounds you set {each} anew. What is right is "
            "the same in every round and every game, and told at the end. A round pays "
            f"1/{ROUNDS} for the right setting, less the farther off you are, and nothing {REACH:g} off or more. "
            f"{settings.manual}"
        )

    def deal(self, rng: np.random.Generator) -> None:
        self._off = np.zeros(len(self._right))

    def question(self, round: int) -> str:
        return f"Round {round + 1} of {ROUNDS}. How do you set the machine?"

    def answer(self, round: int, move: str) -> tuple[str, float]:
        values = [float(each) for each in move.split(", ")]
        self._off += np.abs(np.subtract(values, self._right)) / ROUNDS
        paid = float(np.mean([pay(value, right) for value, right in zip(values, self._right, strict=True)])) / ROUNDS
        return (self._told() if round + 1 == ROUNDS else "Noted."), paid

    def objection(self, action: str) -> str:
        return self.settings.objection(action)

    def _told(self) -> str:
        found = zip(self.settings.parts, self._right, self._off, strict=True)
        return " ".join(
            f"The right {part.name} was {part.write(right)}; yours was {off:.{part.decimals + 1}f} off on average."
            for part, right, off in found
        )


def settings(decimals: int, *, pair: bool = False) -> Settings:
    """The knobs of the family, to so many decimals: heat, and in a pair tilt as well."""
    heat, tilt = Setting("heat", *HEAT, decimals), Setting("tilt", *TILT, decimals)
    return Settings((heat, tilt) if pair else (heat,))


def _setpoint(id: str, difficulty: int, summary: str, right: Sequence[float], decimals: int | None = None) -> EnvSpec:
    """Under `ID:decimals=N` the same game with numbers of so many decimals; one by itself."""
    knobs = settings(1 if decimals is None else decimals, pair=len(right) > 1)
    spec = round_game(
        id if decimals is None else f"{id}:decimals={decimals}",
        partial(Setpoint, knobs, right),
        rounds=ROUNDS,
        grammar=knobs.grammar,
        family="Setpoint",
        difficulty=difficulty,
        summary=summary,
        seeded=False,
    )
    return replace(spec, choose=lambda text: _setpoint(id, difficulty, summary, right, _decimals(text)))


def _decimals(text: str) -> int:
    found = re.fullmatch("decimals=([0-6])", text)
    if found is None:
        raise ChoiceError(f"{text!r} is no choice; write decimals=0 to decimals=6")
    return int(found[1])


SETPOINTS: tuple[EnvSpec, ...] = (
    _setpoint("Setpoint-v0", 0, "Set one knob to a number that is always right and told at the end.", (RIGHT_HEAT,)),
    _setpoint(
        "Setpoint-v0-pair", 1, "Setpoint-v0 with a second knob that turns both ways: a vector of two numbers.",
        (RIGHT_HEAT, RIGHT_TILT),
    ),
    _setpoint(
        "Setpoint-v0-inverted", 2, "Setpoint-v0 with a right number far from the other's: transfer must harm.",
        (OTHER_HEAT,),
    ),
)  # fmt: skip
