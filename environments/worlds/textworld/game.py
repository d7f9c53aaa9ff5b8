"""`GeneratedGame`: one episode of a game that TextWorld makes from the seed, played in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from environments.games.game import MissingData, Turn
from environments.worlds.processes import GameProcesses
from environments.worlds.scored import ScoredGame

PROCESSES = GameProcesses(Path(__file__).parent / "engine.py")


def require_textworld(id: str) -> None:
    """Raises MissingData where the extra is not installed."""
    if find_spec("textworld") is None:
        raise MissingData(f"{id} needs TextWorld: pip install 'procmem[textworld]'")


@lru_cache(maxsize=1)
def workshop() -> tempfile.TemporaryDirectory[str]:
    """Where games are compiled (a second or two each): once a seed, until this program ends."""
    return tempfile.TemporaryDirectory(prefix="procmem-textworld-")


class GeneratedGame(ScoredGame):
    """`walkthrough` holds the commands that win from here, as TextWorld's planner knows them; no player is told.

    GameError also where the game cannot be made.
    """

    processes = PROCESSES

    def __init__(self, challenge: str, settings: Mapping[str, Any], rules: str, folder: str) -> None:
        """`folder` is where games are compiled."""
        self._challenge, self._settings, self._rules, self._folder = challenge, settings, rules, folder
        self.name = f"the {challenge} game of TextWorld"

    def opening(self, seed: int) -> dict[str, Any]:
        return {"make": self._challenge, "settings": dict(self._settings), "seed": seed, "folder": self._folder}

    def rules(self, opening: Mapping[str, Any]) -> str:
        return self._rules

    def _turn(self, answer: Mapping[str, Any]) -> Turn:
        self.walkthrough = tuple(answer["walkthrough"])
        return super()._turn(answer)
