"""`RoundGame`: the tiny base of our own games, one seat each, played in rounds."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from environments.games.game import Note, Turn
from environments.grammar import Grammar
from environments.spec import EnvSpec

_BRACKETS = re.compile(r"\[[^\[\]\n]{1,40}\]")


class RoundGame(ABC):
    """A game of `rounds` answers, each paid at once; a return lies between 0 and 1.

    An answer is the first bracketed text that the grammar accepts. As in TextArena, the first answer without one costs
    nothing, and a second in a row ends the game with what has been earned. Whatever is drawn is drawn from the seed
    before the first answer, so that two players of one seed meet the same luck.
    """

    rules: str
    rounds: int
    grammar: Grammar

    @abstractmethod
    def deal(self, rng: np.random.Generator) -> None:
        """Draw everything that chance decides in this episode."""

    @abstractmethod
    def question(self, round: int) -> str:
        """What the player is told before answer number `round` (from 0)."""

    @abstractmethod
    def answer(self, round: int, move: str) -> tuple[str, float]:
        """Feedback on an answer (without its brackets), and its pay. Together the pays lie between 0 and 1."""

    def objection(self, action: str) -> str:
        """What is wrong with an action that holds no answer."""
        return "That was no valid answer. Answer in square brackets as the rules say."

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._round, self._stumbled = 0, False
        self.deal(np.random.default_rng(seed))
        return (self.rules,), self._say(self.question(0))

    def play(self, action: str) -> Turn:
        move = next((found for found in _BRACKETS.findall(action) if self.grammar.accepts(found)), None)
        if move is None:
            return self._stumble(action)
        self._stumbled = False
        feedback, pay = self.answer(self._round, move[1:-1])
        self._round += 1
        if self._round == self.rounds:
            return Turn(0, ((),), rewards=(pay,), over=True, reason=feedback)
        return self._say(f"{feedback} {self.question(self._round)}".strip(), pay)

    def cut_off(self) -> tuple[float, ...]:
        return (0.0,)

    def _stumble(self, action: str) -> Turn:
        if self._stumbled:
            return Turn(0, ((),), invalid=True, over=True, reason="Invalid answer twice in a row: the game is over.")
        self._stumbled = True
        return Turn(0, ((Note(f"{self.objection(action)} {self.question(self._round)}"),),), invalid=True)

    def _say(self, text: str, pay: float = 0.0) -> Turn:
        return Turn(0, ((Note(text),),), rewards=(pay,))


def round_game(
    id: str,
    build: Callable[[], RoundGame],
    *,
    rounds: int,
    grammar: Grammar,
    family: str,
    difficulty: int,
    summary: str,
    seeded: bool = True,
) -> EnvSpec:
    """The spec of one of our own games; `build` gives one episode's."""

    def make() -> Any:
        from environments.games.aec import TextEnv

        return TextEnv(build, id=id, seats=1, grammar=grammar, horizon=2 * rounds, reward_range=(0.0, 1.0))

    return EnvSpec(id, make, 1, grammar, 2 * rounds, (0.0, 1.0), family, difficulty, summary, seeded=seeded)
