"""`EnvSpec`: what a study has to know of a game before it starts one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from environments.grammar import Grammar

if TYPE_CHECKING:  # the catalog is read by commands that never play
    from pettingzoo import AECEnv


class ChoiceError(KeyError):
    """A game under a choice that it does not offer; one sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """A game as plain data.

    `make()` builds a fresh PettingZoo AEC environment whose observations are
    `Dict({"text": Text})` and whose actions are `Text`. Per seat its `infos` hold:

    - `rules` (str): the game's explanation, the same during the whole episode; not repeated in observations
    - `grammar` (Grammar): the well-formed actions of this very moment
    - `invalid` (int): illegal moves so far
    - at the end also `solved` (bool) and `reason` (str, the game's own last words)

    An observation's text is what the seat has been told since its last action (its own action left out).
    `make()` raises MissingData where the game needs data that is not on this machine.
    """

    id: str
    make: Callable[[], AECEnv[str, Any, Any]]
    seats: int
    grammar: Grammar
    horizon: int
    """Most decisions one seat takes in an episode; then it is cut off (truncated)."""
    reward_range: tuple[float, float]
    """Bounds of a seat's return."""
    family: str
    """Games of one family differ in difficulty only: cross-task transfer inside a family is 'near'."""
    difficulty: int
    """Rank inside the family, 0 the easiest."""
    summary: str = ""
    seeded: bool = True
    """False where every seed is the same game (tic-tac-toe): its environment seeds are no sample of anything."""
    examples: tuple[str, ...] = ()
    """Legal first moves, where a text drawn from the grammar is rarely one (Wordle's words)."""
    needs: str = ""
    """What has to be there beside procmem itself, in a few words: "procmem[classic]", "NLTK words"."""
    package: str = ""
    """The package beside procmem that holds the game's rules: of another version it may be another game."""
    patience: float = 60.0
    """Seconds that a step or a reset may take; then the episode is given up (see `environments.games.watchdog`)."""
    in_turn: bool = False
    """True where seeds that follow one another (every second number) are different games, until all were played: then
    the evaluation takes such seeds, and n episodes are n different games."""
    recorded: tuple[str, ...] = ()
    """Infos (texts) that an episode's record keeps, such as the type of a task; no player is told."""
    remote: bool = False
    """True where the game is played in a process of its own: whoever plays many at once awaits it in a thread."""
    choose: Callable[[str], EnvSpec] | None = None
    """The same game under the choices that are written after the colon of `ID:key=value,…`. Raises ChoiceError."""

    def __post_init__(self) -> None:
        if not self.id.isprintable() or not self.id:
            raise ValueError(f"the id of an environment is printable text, which {self.id!r} is not")
