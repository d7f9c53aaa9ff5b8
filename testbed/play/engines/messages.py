"""What crosses from process to process: a memory going out, an episode or its error coming back. All of it is text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from agents.models.adapters.metered import Charge
from agents.models.model import (
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
    NoLikelihoods,
    PromptRefused,
    PromptTooLong,
)
from agents.selection import Value
from environments.games.game import GameError
from testbed.config.plugins import resolve
from testbed.play.players import HeldMemory
from transfer.memory.controls import RandomUnits
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory, UnitMemory
from transfer.registry import load_memory

KINDS: Mapping[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        ModelError,
        ModelUnavailable,
        ModelMisconfigured,
        PromptRefused,
        PromptTooLong,
        NoLikelihoods,
        GameError,
    )
}
"""Errors that somebody tells apart; all others are only told."""


class Failure(BaseModel):
    """An error that happened elsewhere."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of its class."""
    kind: str
    """The nearest of KINDS among its bases; blank for none."""
    text: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        names = [base.__name__ for base in type(error).__mro__]
        kind = next((name for name in names if name in KINDS), "")
        notes = getattr(error, "__notes__", ())
        return cls(name=names[0], kind=kind, text=str(error).encode(errors="replace").decode(), notes=tuple(notes))

    def error(self) -> Exception:
        """One of the same name, text and notes, and of the same kind."""
        kind = KINDS.get(self.kind, Exception)
        error = kind(self.text) if kind.__name__ == self.name else type(self.name, (kind,), {})(self.text)
        for note in self.notes:
            error.add_note(note)
        return error


class Played(BaseModel):
    """What became of a trial, from whoever played it."""

    model_config = ConfigDict(frozen=True)

    seats: Mapping[str, Trajectory] = {}
    failure: Failure | None = None
    charges: tuple[Charge, ...] = ()
    """What it took, summed over the calls of one agent for one use."""


class SentMemory(NamedTuple):
    """What an agent brings to its seat, on its way to a worker."""

    digest: str | None = None
    text: Any = None
    """What the memory's `dumps` wrote, or Ray's reference to it."""
    at_random: bool = False
    """Whether its units are recalled without choosing (`RandomUnits`)."""
    values: Mapping[str, tuple[float, int]] = {}

    @classmethod
    def of(cls, held: HeldMemory, text: Any) -> SentMemory:
        values = {skill: (value.mean, value.tries) for skill, value in held.values.items()}
        return cls(held.digest, text, isinstance(held.memory, RandomUnits), values)

    def received(self, memory: Memory | None) -> HeldMemory:
        """As it was sent, around the `memory` that its text holds."""
        if self.at_random and isinstance(memory, UnitMemory):
            memory = RandomUnits(memory)
        return HeldMemory(memory, {skill: Value(*value) for skill, value in self.values.items()})


def read_memory(text: str, digest: str) -> Memory:
    """Raises PoolError."""
    return load_memory(text, f"the memory {digest}", resolve)
