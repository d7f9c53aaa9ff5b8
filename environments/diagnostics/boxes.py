"""Boxes: a guessing game in which repeating a guess is what hurts, to see whether a critic names that error."""

from __future__ import annotations

import numpy as np

from environments.games.rounds import RoundGame, round_game
from environments.grammar import Choices
from environments.spec import EnvSpec

COUNT, COINS, OPENINGS = 8, 4, 6
GRAMMAR = Choices(tuple(f"[{box}]" for box in range(1, COUNT + 1)))


class Boxes(RoundGame):
    """Eight boxes, four of them with a coin; six may be opened. A box that was opened before is empty.

    A player who never repeats itself earns 3/4 in the mean, one who always names the same box 1/8.
    """

    rounds = OPENINGS
    grammar = GRAMMAR
    rules = (
        f"There are {COUNT} boxes, numbered 1 to {COUNT}. {COINS} of them hold one coin each. You may open a box "
        f"{OPENINGS} times. Answer with the number of a box in square brackets, like [number]. "
        f"Every coin pays 1/{COINS}."
    )

    def deal(self, rng: np.random.Generator) -> None:
        self._full = {int(box) + 1 for box in rng.choice(COUNT, COINS, replace=False)}
        self._opened: set[int] = set()

    def question(self, round: int) -> str:
        return f"Opening {round + 1} of {OPENINGS}: which box?"

    def answer(self, round: int, move: str) -> tuple[str, float]:
        box = int(move)
        if box in self._opened:
            return f"You have opened box {box} before: it is empty now.", 0.0
        self._opened.add(box)
        return (f"Box {box} held a coin.", 1 / COINS) if box in self._full else (f"Box {box} was empty.", 0.0)


BOXES: tuple[EnvSpec, ...] = (
    round_game(
        "Repeat-v0", Boxes, rounds=OPENINGS, grammar=GRAMMAR, family="Repeat", difficulty=0,
        summary="Find 4 coins in 8 boxes with 6 openings; opening a box twice is the error to be found out.",
    ),
)  # fmt: skip
