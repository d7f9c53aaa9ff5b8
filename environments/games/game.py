"""`Game`: the rules of a text game, without PettingZoo's bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from environments.grammar import Grammar


class GameError(RuntimeError):
    """A game broke its own contract (crashed, paid out of range); one sentence that names it."""


class MissingData(RuntimeError):
    """A game needs data that this machine does not have; one sentence with the remedy."""


class Note(NamedTuple):
    """Something a seat is told. A newer `board` replaces an older one that nobody has acted on."""

    text: str
    board: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What a move (or the start) has led to."""

    seat: int
    """Who moves next."""
    notes: tuple[tuple[Note, ...], ...]
    """New notes for each seat, in order."""
    grammar: Grammar | None = None
    """Legal moves of that seat, where the game knows them."""
    rewards: tuple[float, ...] = ()
    """Paid just now, one per seat; empty where nobody is paid."""
    invalid: bool = False
    """The move just made was illegal."""
    over: bool = False
    reason: str = ""
    """The game's last words, when it is over."""
    solved: tuple[bool, ...] = ()
    """Who has won, when it is over; where empty, those who were paid the most there is."""
    infos: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else is known of the game and told to no player; added to the infos of all seats."""


class Game(Protocol):
    """One episode of a game. `TextEnv` turns it into a PettingZoo environment."""

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        """Start; the rules as each seat is told them, and the opening. The same seed is the same game."""
        ...

    def play(self, action: str) -> Turn:
        """Make the move of the seat whose turn it is. Any text is allowed; an illegal one is answered, not raised."""
        ...

    def cut_off(self) -> tuple[float, ...]:
        """What each seat is paid (on top) when the episode is stopped at its horizon."""
        ...
