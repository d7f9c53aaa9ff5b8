"""`ExpressGame`: one episode of a game of TextWorld-Express, played in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from environments.games.game import MissingData
from environments.worlds.processes import GameProcesses
from environments.worlds.scored import ScoredGame

PROCESSES = GameProcesses(Path(__file__).parent / "engine.py")
Split = Literal["train", "dev", "test"]


def require_textworld_express(id: str) -> None:
    """Raises MissingData where the extra is not installed, or no Java."""
    if not all(map(find_spec, ("textworld_express", "py4j"))):
        raise MissingData(f"{id} needs TextWorld-Express: pip install 'procmem[textworld-express]'")
    if shutil.which("java") is None:
        raise MissingData(f"{id} needs Java 8 or later, and there is no `java`: install one (default-jre-headless)")


class ExpressGame(ScoredGame):
    """`walkthrough` holds the commands that win from the start, as the game knows them; no player is told."""

    processes = PROCESSES

    def __init__(self, game: str, settings: Mapping[str, int], rules: str, split: Split) -> None:
        self._game, self._rules, self._split = game, rules, split
        self._settings = ",".join(f"{name}={value}" for name, value in settings.items())
        self.name = f"the {game} game of TextWorld-Express"

    def opening(self, seed: int) -> dict[str, Any]:
        return {"make": self._game, "settings": self._settings, "seed": seed % 2**31, "fold": self._split}

    def rules(self, opening: Mapping[str, Any]) -> str:
        self.walkthrough = tuple(opening["walkthrough"])
        return f"{opening['task']}\n{self._rules}"
