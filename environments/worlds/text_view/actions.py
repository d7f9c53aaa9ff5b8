"""What a seat may do in an environment of arrays: names for discrete actions, numbers for continuous ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from environments.games.numbers import Settings
from environments.grammar import Grammar
from environments.worlds.text_view.view import move, options, written

SLACK = 1e-6
"""Bounds of a Box are single floats: 0.1 is a little more there."""


class Move(NamedTuple):
    """What the environment takes, and how a player writes it."""

    action: Any
    words: str


class Offer(Protocol):
    """What a seat may do at one moment."""

    @property
    def grammar(self) -> Grammar: ...

    @property
    def told(self) -> str:
        """What the seat is told of it beside what it sees; "" where the rules have said it."""
        ...

    def read(self, text: str) -> Move | None: ...

    def objection(self, text: str) -> str:
        """Why a text is no move."""
        ...


class Actions(Protocol):
    """The actions of one agent."""

    def offer(self, mask: NDArray[Any] | None) -> Offer:
        """Raises ValueError, in half a sentence about the environment, for a mask that leaves nothing or is no mask."""
        ...


@dataclass(frozen=True)
class Named:
    """Discrete actions, some of which may be masked."""

    agent: str
    names: Sequence[str]
    start: int

    def offer(self, mask: NDArray[Any] | None) -> Offer:
        if mask is None:
            return NamedOffer(self, dict(zip(self.names, range(len(self.names)), strict=True)), False)
        if mask.shape != (len(self.names),):
            raise ValueError(f"gives {self.agent} an action mask of shape {mask.shape} for {len(self.names)} actions")
        legal = {self.names[number]: number for number in np.flatnonzero(mask).tolist()}
        if not legal:
            raise ValueError(f"leaves {self.agent} no action: its action mask is empty")
        return NamedOffer(self, legal, True)


@dataclass(frozen=True)
class NamedOffer:
    actions: Named
    legal: Mapping[str, int]
    masked: bool

    @property
    def grammar(self) -> Grammar:
        return written(list(self.legal))

    @property
    def told(self) -> str:
        return options(list(self.legal)) if self.masked else ""

    def read(self, text: str) -> Move | None:
        number = move(text, self.legal)
        return None if number is None else Move(self.actions.start + number, f"[{self.actions.names[number]}]")

    def objection(self, text: str) -> str:
        return " ".join(filter(None, ("That is no move you can make now.", options(list(self.legal)))))


@dataclass(frozen=True)
class Numbers:
    """A continuous action: an array of a Box, all of whose points that can be written are legal at all times."""

    settings: Settings
    dtype: Any
    told: str = ""

    @property
    def grammar(self) -> Grammar:
        return self.settings.grammar

    def offer(self, mask: NDArray[Any] | None) -> Offer:
        return self

    def read(self, text: str) -> Move | None:
        values = self.settings.read(text)
        return None if values is None else Move(np.array(values, self.dtype), self.settings.write(values))

    def objection(self, text: str) -> str:
        return self.settings.objection(text)


def actions_of(agent: str, space: spaces.Space[Any], named: tuple[str, ...] | Settings) -> Actions:
    """An agent's actions as a view has them. Raises ValueError, in half a sentence about the environment."""
    if isinstance(named, Settings):
        return _numbers(agent, space, named)
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"gives {agent} the actions {space}, and its view has names, which need Discrete ones")
    if space.n != len(named):
        raise ValueError(f"has {space.n} actions, and its view names {len(named)}")
    return Named(agent, named, int(space.start))


def _numbers(agent: str, space: spaces.Space[Any], settings: Settings) -> Numbers:
    if not isinstance(space, spaces.Box) or space.shape != (len(settings.parts),):
        needed = f"({len(settings.parts)},)"
        raise ValueError(f"gives {agent} the actions {space}, and its view has numbers, which need a Box of {needed}")
    for part, low, high in zip(settings.parts, space.low.tolist(), space.high.tolist(), strict=True):
        if not low - SLACK <= part.low <= part.high <= high + SLACK:
            raise ValueError(
                f"takes {part.name} from {low:g} to {high:g}, and its view lets {agent} write {part.bounds}"
            )
    return Numbers(settings, space.dtype)
