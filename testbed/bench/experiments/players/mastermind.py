"""A scripted player of Mastermind whose policy is known: how often it guesses what could still be the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, ClassVar

import numpy as np

from testbed.bench.experiments.closed_forms import ClosedForm, Floats, softmax

CODES = tuple(permutations(range(1, 7), 4))
TURNS = 21
"""Guesses that TextArena takes before it ends a game."""
TOLD = re.compile(r"Submitted \[([1-6 ]+)\]\. Feedback: (\d) black peg\(s\), (\d) white peg\(s\)")


@cache
def pegs() -> np.ndarray[Any, np.dtype[np.int64]]:
    """10 · black + white for every pair of codes, (360, 360)."""
    codes = np.array(CODES)
    black = (codes[:, None] == codes[None]).sum(axis=-1)
    common = (codes[:, None, :, None] == codes[None, :, None, :]).any(axis=-1).sum(axis=-1)
    return 10 * black + common - black


@dataclass(frozen=True)
class MastermindPlayer(ClosedForm):
    """Settings: logits of guessing what fits all that was told, and of any guess that was not made before.

    Its return is simulated under the same law: nothing closed is known.
    """

    spread: float = 1.0
    step: float = 1.0
    games: int = 2000
    environment: ClassVar[str] = "Mastermind-v0"
    remembers: ClassVar[bool] = True

    @property
    def options(self) -> Sequence[str]:
        return [f"[{' '.join(map(str, code))}]" for code in CODES]

    def draw(self, rng: np.random.Generator) -> Floats:
        return np.array([-3.0, 0.0]) + rng.normal(scale=self.spread, size=2)

    def odds(self, settings: Floats, observation: str) -> Floats:
        fits, new = np.ones(len(CODES), bool), np.ones(len(CODES), bool)
        for guess, black, white in TOLD.findall(observation):
            place = CODES.index(tuple(map(int, guess.split())))
            new[place] = False
            fits &= pegs()[place] == 10 * int(black) + int(white)
        consistent, anything = softmax(settings)
        return consistent * fits / fits.sum() + anything * new / new.sum()

    def true_return(self, settings: Floats) -> float:
        """Over `games` games, always the same ones: a difference of two is known within about .01."""
        rng = np.random.default_rng(0)
        consistent, _ = softmax(settings)
        games = np.arange(self.games)
        fits, new = (np.ones((self.games, len(CODES)), bool) for _ in range(2))
        last, solved = np.zeros(self.games, int), np.zeros(self.games, bool)
        for _ in range(TURNS):
            among = np.where((rng.random(self.games) < consistent)[:, None], fits, new)
            guess = (rng.random(among.shape, dtype=np.float32) * among).argmax(axis=1)
            last = np.where(solved, last, guess)
            solved |= last == 0  # by symmetry, the code may as well be the first one
            new[games, last] = False
            fits &= pegs()[last] == pegs()[last, 0][:, None]
        found = pegs()[last, 0]
        return float(np.mean((found // 10 + found % 10 / 2) / 4))
