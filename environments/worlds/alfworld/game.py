"""`AlfredGame`: one episode of an ALFWorld game, which is played in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from environments.games.game import GameError, MissingData, Note, Turn
from environments.grammar import Choices
from environments.worlds.alfworld.files import KINDS, GameFile
from environments.worlds.processes import GameProcesses

PROCESSES = GameProcesses(Path(__file__).parent / "engine.py")

RULES = (
    "You are in a house and have a task to do there. Move about, look into things, use what you find. Each turn you "
    "write one command:\n"
    "look · inventory · go to PLACE · open PLACE · close PLACE · examine THING · take THING from PLACE · "
    "move THING to PLACE · clean THING with PLACE · heat THING with PLACE · cool THING with PLACE · "
    "use THING · slice THING with THING\n"
    "Places and things are called as you are told them, with their numbers: fridge 1. You can hold one thing at a "
    "time. The game is won when the task is done; you have {steps} commands for it."
)
NOTHING_HAPPENS = "Nothing happens."
DONE = "The task is done."


def require_textworld() -> None:
    """Raises MissingData where the extra is not installed."""
    if not all(map(find_spec, ("textworld", "fast_downward"))):
        raise MissingData("ALFWorld needs TextWorld: pip install 'procmem[alfworld]'")


class AlfredGame:
    """Won games pay 1, all others 0. The process is given back when the game is over, or when nobody has the game.

    GameError, naming the file, where it is damaged or unsolvable, or its process dies or hangs.
    """

    def __init__(self, choose: Callable[[int], GameFile], steps: int, told: frozenset[str]) -> None:
        """`choose`: which game a seed means. `told`: "type", "walkthrough" (both in the rules), "commands" (in every
        observation)."""
        self._choose, self._steps, self._told = choose, steps, told

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._file = self._choose(seed)
        self._process, self._release = PROCESSES.lend(self)
        opening = self._ask(load=str(self._file.path))
        infos = {"task_type": KINDS[self._file.kind], "game": self._file.name}
        return (self._rules(opening["walkthrough"]),), self._turn(opening, infos=infos)

    def play(self, action: str) -> Turn:
        command = action.strip()
        if not self._commands.accepts(command):
            return self._turn({"text": NOTHING_HAPPENS, "commands": self._commands.options, "won": False}, invalid=True)
        return self._turn(self._ask(play=command))

    def cut_off(self) -> tuple[float, ...]:
        self._release()
        return (0.0,)

    def _rules(self, walkthrough: list[str]) -> str:
        rules = [RULES.format(steps=self._steps)]
        if "type" in self._told:
            rules.append(f"Type of task: {KINDS[self._file.kind]}")
        if "walkthrough" in self._told:
            rules.append(f"Walkthrough: {'; '.join(walkthrough)}")
        return "\n".join(rules)

    def _turn(self, answer: Mapping[str, Any], *, invalid: bool = False, infos: Mapping[str, Any] = {}) -> Turn:
        notes = [Note(str(answer["text"]).strip())]
        if answer["won"]:
            self._release()
            return Turn(0, (tuple(notes),), rewards=(1.0,), over=True, reason=DONE)
        self._commands = Choices(tuple(answer["commands"]))
        if "commands" in self._told:
            notes.append(Note(f"Commands: {'; '.join(self._commands.options)}"))
        return Turn(0, (tuple(notes),), self._commands, invalid=invalid, infos=infos)

    def _ask(self, **request: str) -> dict[str, Any]:
        try:
            return self._process.ask(**request)
        except GameError as error:
            raise GameError(f"the game {self._file.path}: {error}") from error
