"""`ScoredGame`: one episode of a game in a process of its own, which offers commands and keeps a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from environments.games.game import GameError, Note, Turn
from environments.grammar import Choices
from environments.worlds.processes import GameProcesses

NOTHING_HAPPENS = "That is nothing that you can do here."


class ScoredGame(ABC):
    """The admissible commands are the grammar, and what the score grows by is paid at once.

    An engine answers an opening and `{"play": COMMAND}` with the game's `text`, its `score` as a share of all points,
    whether it is `won` or `lost`, and the admissible `commands`. GameError where its process dies, hangs or says why
    not.
    """

    processes: ClassVar[GameProcesses]
    name: str
    """What the game is called in errors."""

    @abstractmethod
    def opening(self, seed: int) -> dict[str, Any]:
        """What the engine is asked to begin the game of a seed."""

    @abstractmethod
    def rules(self, opening: Mapping[str, Any]) -> str:
        """What the player is told before the first command."""

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._process, self._release = self.processes.lend(self)
        self._score = 0.0
        opening = self._ask(**self.opening(seed))
        return (self.rules(opening),), self._turn(opening)

    def play(self, action: str) -> Turn:
        command = action.strip()
        if not self._commands.accepts(command):
            return Turn(0, ((Note(NOTHING_HAPPENS),),), self._commands, invalid=True)
        return self._turn(self._ask(play=command))

    def cut_off(self) -> tuple[float, ...]:
        self._release()
        return (0.0,)

    def _turn(self, answer: Mapping[str, Any]) -> Turn:
        notes = ((Note(str(answer["text"])),),)
        paid, self._score = answer["score"] - self._score, answer["score"]
        if answer["won"] or answer["lost"]:
            self._release()
            reason = "The task is done." if answer["won"] else "The task has failed."
            return Turn(0, notes, rewards=(paid,), over=True, reason=reason, solved=(answer["won"],))
        self._commands = Choices(tuple(answer["commands"]))
        return Turn(0, notes, self._commands, rewards=(paid,))

    def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            return self._process.ask(**request)
        except GameError as error:
            raise GameError(f"{self.name}: {error}") from error
