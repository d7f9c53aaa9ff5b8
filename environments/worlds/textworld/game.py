"""`GeneratedGame`: one episode of a game that TextWorld makes from the seed, played in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from environments.games.game import GameError, MissingData, Note, Turn
from environments.grammar import Choices
from environments.worlds.processes import GameProcesses

PROCESSES = GameProcesses(Path(__file__).parent / "engine.py")
NOTHING_HAPPENS = "That is nothing that you can do here."


def require_textworld(id: str) -> None:
    """Raises MissingData where the extra is not installed."""
    if find_spec("textworld") is None:
        raise MissingData(f"{id} needs TextWorld: pip install 'procmem[textworld]'")


@lru_cache(maxsize=1)
def workshop() -> tempfile.TemporaryDirectory[str]:
    """Where games are compiled (a second or two each): once a seed, until this program ends."""
    return tempfile.TemporaryDirectory(prefix="procmem-textworld-")


class GeneratedGame:
    """Every point that the game gives is paid at once, as a share of all its points.

    `walkthrough` holds the commands that win from here, as TextWorld's planner knows them; no player is told.
    GameError where the game cannot be made, or its process dies or hangs.
    """

    def __init__(self, challenge: str, settings: Mapping[str, Any], rules: str, folder: str) -> None:
        """`folder` is where games are compiled."""
        self._challenge, self._settings, self._rules, self._folder = challenge, settings, rules, folder

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._process, self._release = PROCESSES.lend(self)
        self._score = 0.0
        opening = self._ask(make=self._challenge, settings=dict(self._settings), seed=seed, folder=self._folder)
        return (self._rules,), self._turn(opening)

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
        self.walkthrough = tuple(answer["walkthrough"])
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
            raise GameError(f"the {self._challenge} game of TextWorld: {error}") from error
