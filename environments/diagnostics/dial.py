"""Dial: actions are real numbers written as text, so that pay and likelihood change gradually."""

from __future__ import annotations

import numpy as np

from environments.games.rounds import RoundGame, round_game
from environments.grammar import Regex
from environments.spec import EnvSpec

ROUNDS = 5
GRAMMAR = Regex(r"\[(0\.[0-9]{2}|1\.00)\]")


class Dial(RoundGame):
    """A gauge reads g per cent; the dial x ought to stand at 1 − g/100, and pays (1 − |x − (1 − g/100)|)/5.

    Copying the gauge earns 0.48 in the mean, leaving it at 0.50 earns 0.74 (readings are uniform on 0, 5, …, 100).
    """

    rounds = ROUNDS
    grammar = GRAMMAR
    rules = (
        f"A machine shows a gauge and has a dial. In each of {ROUNDS} rounds you read the gauge and set the dial to a "
        "number from 0.00 to 1.00, with two decimals in square brackets, like [0.00]. How the dial ought to stand "
        "depends on the gauge alone. Every round pays 1 minus the distance to the right setting, divided by the rounds."
    )

    def deal(self, rng: np.random.Generator) -> None:
        self._gauges = [5 * int(step) for step in rng.integers(0, 21, size=ROUNDS)]

    def question(self, round: int) -> str:
        return f"Round {round + 1} of {ROUNDS}. The gauge reads {self._gauges[round]}. How do you set the dial?"

    def answer(self, round: int, move: str) -> tuple[str, float]:
        target = 1 - self._gauges[round] / 100
        distance = abs(float(move) - target)
        return f"The right setting was {target:.2f}; yours was off by {distance:.2f}.", (1 - distance) / ROUNDS


DIALS: tuple[EnvSpec, ...] = (
    round_game(
        "Dial-v0", Dial, rounds=ROUNDS, grammar=GRAMMAR, family="Dial", difficulty=0,
        summary="Set a dial to a real number that a gauge determines; pays by closeness.",
    ),
)  # fmt: skip
