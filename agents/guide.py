"""Guides: what an agent consults before it acts. A memory's way into the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agents.prompts import PastTurn


class State(NamedTuple):
    """s_t: all that one seat knows at a decision."""

    rules: str
    turns: tuple[PastTurn, ...]
    observation: str


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a guide adds to the prompt; `text` is empty where it has nothing to say."""

    text: str = ""
    units: tuple[str, ...] = ()
    skill: str | None = None
    started: bool = False
    explored: bool = False
    calls: int = 0


class Guide(Protocol):
    """Consulted once per decision, in order; fresh, or reset, for every seat and episode."""

    async def guide(self, state: State) -> Guidance: ...

    def reset(self) -> None:
        """Forget the episode: the next decision is the first of another one."""
        ...


class NoGuide:
    """State only: the arm without memory."""

    async def guide(self, state: State) -> Guidance:
        return Guidance()

    def reset(self) -> None:
        pass
