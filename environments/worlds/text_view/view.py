"""`TextView`: how a player reads an environment of arrays, and what it calls its moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from environments.games.numbers import Settings
from environments.grammar import Choices, Regex

NAME = re.compile(r"[^\[\]\n]{1,40}")
LONGEST_LIST = 20
"""Moves that a player is told one by one; a longer list would crowd out what there is to see."""
_BRACKETED = re.compile(rf"\[{NAME.pattern}\]")


@dataclass(frozen=True, slots=True)
class TextView:
    """Words for an environment of arrays."""

    rules: str
    """What a player is told once; how a move is written is added."""
    actions: tuple[str, ...] | Settings
    """A name for every discrete action, in the environment's order, or the numbers that a continuous one is made of; a
    player writes it in square brackets."""
    describe: Callable[[Any, int], str]
    """What a seat (0, 1, …) sees, from its observation without the action mask. You are "you", whatever the seat."""
    solved: Callable[[float, bool], bool] | None = None
    """Whether a seat has won, from its return and whether the game came to its own end (not to a limit).
    Without it, a seat has won that was paid the most there is."""

    def __post_init__(self) -> None:
        if isinstance(self.actions, Settings):
            return
        if len(set(self.actions)) != len(self.actions) or not all(map(NAME.fullmatch, self.actions)):
            raise ValueError("the names of actions are different texts of 1 to 40 characters without square brackets")

    @property
    def grammar(self) -> Choices | Regex:
        """All moves there are."""
        return self.actions.grammar if isinstance(self.actions, Settings) else written(self.actions)

    @property
    def manual(self) -> str:
        """The rules, and how a move is written."""
        if isinstance(self.actions, Settings):
            return f"{self.rules.strip()}\n{self.actions.manual}"
        return f"{self.rules.strip()}\nAnswer with one move in square brackets{_listed(self.actions)}."


def written(names: Sequence[str]) -> Choices:
    """These moves as a player writes them."""
    return Choices(tuple(f"[{name}]" for name in names))


def options(names: Sequence[str]) -> str:
    """A sentence that lists the moves at hand, or nothing where there are too many."""
    return f"You can play{_listed(names)}." if len(names) <= LONGEST_LIST else ""


def move(text: str, legal: Mapping[str, int]) -> int | None:
    """The action that a text names: its first bracketed legal move; None where it has none."""
    return next((legal[name] for found in _BRACKETED.findall(text) if (name := found[1:-1]) in legal), None)


def _listed(names: Sequence[str]) -> str:
    return f": {', '.join(written(names).options)}" if len(names) <= LONGEST_LIST else ""
