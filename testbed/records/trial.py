"""What is to be played (`Trial`) and what became of it (`Episode`): one line of `episodes.jsonl`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator

from agents.models.served.http.api_key import redact
from transfer.memory.experience import Trajectory

Phase = Literal["learn", "evaluate", "league"]
"""A league is played by a population's members among themselves: its returns compare them, not arms."""

EVIDENCE = "evidence"
"""Arm of the episodes to learn by which an agent judges the skills that the study gives it; it has no memory there."""

_SORTED = json.JSONEncoder(sort_keys=True)

SEAT = re.compile(r"player_[0-9]{1,6}")


class BackgroundSeat(BaseModel):
    """A member of the population in a background seat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str
    pool: str | None
    """Digest of the skills it brings; None for none."""


class Trial(BaseModel):
    """One episode to play, named by its content: the same trial has the same id in every process and on every day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Phase
    arm: str
    agent: str
    """Who plays the focal seat."""
    task: str
    learning_run: int
    iteration: int = 0
    episode: int
    env_seed: int
    seat: int = 0
    """Index of the focal seat; background players sit in the others."""
    pool: str | None = None
    """Digest of the skills at hand; None plays from the state alone."""
    selector: str = "none"
    epsilon: float = 0.0
    source_agent: str | None = None
    source_task: str | None = None
    memory: str | None = None
    """Name of the memory whose digest `pool` is; None for the study's own pool."""
    attempt: int = 0
    """How many times this learning game was played before, in the same iteration."""
    paired: bool = False
    """Played with the same luck as any other paired trial of this agent on this game, whatever its memory."""
    background: tuple[BackgroundSeat, ...] = ()
    """Who sits in the other seats, in their order; the task's opponent where nobody is named."""

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Trials are written, and so named, as they were before there were populations and other memories.
        content: dict[str, Any] = handler(self)
        if not self.background:
            content.pop("background", None)
        if self.memory is None:
            content.pop("memory", None)
        if not self.attempt:
            content.pop("attempt", None)
        if not self.paired:
            content.pop("paired", None)
        return content

    @cached_property
    def id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of its fields."""
        content = _SORTED.encode(self.model_dump(mode="json"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def luck(self) -> str:
        """The key of its random draws: its own, or for a paired trial that of its game."""
        if not self.paired:
            return self.id
        return f"{self.agent}/{self.task}/{self.learning_run}/{self.iteration}/{self.env_seed}"


class Episode(BaseModel):
    """A finished trial: who did what in which seat, or the error that ended it.

    A failed episode (`error`) is missing data: it is counted and played again when the run is resumed,
    never taken for a return of zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: Trial
    seats: Mapping[str, Trajectory]
    focal: str
    """Name of the seat that `trial.agent` played."""
    error: str | None = None

    @model_validator(mode="after")
    def _has_its_focal_seat(self) -> Episode:
        if self.error is None and self.focal not in self.seats:
            raise ValueError(f"focal: there is no record of the seat {self.focal[:40]!r}")
        if strange := [seat for seat in self.seats if not SEAT.fullmatch(seat)]:
            raise ValueError(f"seats: {strange[0][:40]!r} is not called player_0, player_1, …")
        return self

    @property
    def trajectory(self) -> Trajectory:
        """The focal seat's part. Raises KeyError for a failed episode."""
        return self.seats[self.focal]


_STEPS, _AFTER = b'"steps":[', b'],"total":'


def without_steps(line: bytes) -> bytes:
    """A line of `episodes.jsonl` in which nobody has made a step; as it is where another program has laid it out.

    Within a text of JSON no quotation mark stands alone, so what is looked for is found where it means what it says.
    """
    kept: list[bytes] = []
    start = 0
    while (steps := line.find(_STEPS, start)) >= 0:
        end = line.find(_AFTER, steps)
        if end < 0:
            return line
        kept.append(line[start : steps + len(_STEPS)])
        start = end
    return b"".join([*kept, line[start:]])


def one_line(error: Exception) -> str:
    """What went wrong, in one line that any file can hold."""
    text = redact(f"{type(error).__name__}: {error}").encode(errors="replace").decode()
    return " ".join(text.split())
