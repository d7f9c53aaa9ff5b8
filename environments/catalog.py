"""The games: each one an `EnvSpec`, plain data under its id in `ENVIRONMENTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pettingzoo import AECEnv

from environments.grammar import Grammar


class UnknownEnvironment(LookupError):
    """No environment of that name; the message names the nearest ones."""


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What a study has to know of a game before it starts one.

    `make()` builds a fresh PettingZoo AEC environment whose observations are
    `Dict({"text": Text})` and whose actions are `Text`. Per seat its `infos` hold:

    - `rules` (str): the game's explanation, the same during the whole episode; not repeated in observations
    - `grammar` (Grammar): the well-formed actions of this very moment
    - `invalid` (int): illegal moves so far
    - at the end also `solved` (bool) and `reason` (str, the game's own last words)

    An observation's text is what the seat has been told since its last action (its own action left out).
    """

    id: str
    make: Callable[[], AECEnv[str, Any, Any]]
    seats: int
    grammar: Grammar
    horizon: int
    """Most decisions one seat takes in an episode."""
    reward_range: tuple[float, float]
    """Bounds of a seat's return."""
    family: str
    """Games of one family differ in difficulty only: cross-task transfer inside a family is 'near'."""
    difficulty: int
    """Rank inside the family, 0 the easiest."""
    summary: str = ""


ENVIRONMENTS: dict[str, EnvSpec] = {}
