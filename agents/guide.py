"""Guides: what an agent consults before it acts. A memory's way into the prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from agents.models.adapters.metered import account
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
    """A recall event: what stands in the prompt was chosen anew."""
    explored: bool = False
    calls: int = 0
    left_out: int = 0
    """Units that were chosen but for which there was no room."""
    written: str = ""
    """`text` at a recall event whose memory wrote it for this game alone: it is not the words of its units."""


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


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a memory brings to mind at one recall event."""

    text: str = ""
    units: tuple[str, ...] = ()
    left_out: int = 0
    written: bool = False
    """The text was written for this game alone, of these units."""


RecallUnits = Callable[[State], Awaitable[Recalled]]


class EachStep:
    """Recalls anew at every decision."""

    def __init__(self, recall: RecallUnits) -> None:
        self._recall = recall

    async def guide(self, state: State) -> Guidance:
        with account() as spent:
            found = await self._recall(state)
        return Guidance(
            found.text,
            found.units,
            started=bool(found.units),
            calls=spent.calls,
            left_out=found.left_out,
            written=found.text if found.written else "",
        )

    def reset(self) -> None:
        pass


class AtStart:
    """Recalls once an episode; the text stands until its end, so that prompts keep their prefix."""

    def __init__(self, recall: RecallUnits) -> None:
        self._each = EachStep(recall)
        self._held: Guidance | None = None

    async def guide(self, state: State) -> Guidance:
        if self._held is None:
            first = await self._each.guide(state)
            self._held = replace(first, started=False, calls=0, left_out=0, written="")
            return first
        return self._held

    def reset(self) -> None:
        self._held = None
