"""`Memory`: what an agent carries from episode to episode, as a frozen value. The skill pool is one among others."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from agents.embedding import Embedder
from agents.guide import AtStart, Guide, Recalled, RecallUnits, State
from agents.models.model import Model
from agents.prompts import memory_text, skill_text
from agents.skill import Skill, Words

Value = TypeVar("Value")

FORMAT = "procmem memory"
VERSION = 1
TURN = 24
"""Tokens of a turn beside what is seen: the move, and the marks of the chat template."""


class Unit(BaseModel):
    """The smallest text with an id that can be recalled or dropped alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """episode, rule, note, workflow, item, routine, document, …; skill for a pool's."""
    text: Words
    """What is shown."""
    key: Words = ""
    """What is embedded, where recall goes by likeness: short, for embedders read some 256 word pieces."""
    name: Words = ""
    parents: tuple[str, ...] = ()
    trajectories: tuple[str, ...] = ()
    """Ids of the trajectories that are its evidence."""
    env_seeds: tuple[int, ...] = ()
    """Games it was made from: it is never recalled where one of them is played to evaluate."""
    id: str = ""
    """First 16 hexadecimal digits of the SHA-256 of kind, key and text; a skill's own id."""

    @model_validator(mode="after")
    def _named(self) -> Unit:
        if not self.id:
            words = json.dumps([self.kind, self.key, self.text])
            object.__setattr__(self, "id", hashlib.sha256(words.encode()).hexdigest()[:16])
        return self

    def with_evidence_of(self, other: Unit) -> Unit:
        """The same words, with the trajectories and the games of both."""
        trajectories, env_seeds = (*self.trajectories, *other.trajectories), (*self.env_seeds, *other.env_seeds)
        joined = {"trajectories": tuple(dict.fromkeys(trajectories)), "env_seeds": tuple(dict.fromkeys(env_seeds))}
        return self.model_copy(update=joined)


@dataclass(frozen=True)
class Seat:
    """What a memory may use to advise one seat of one episode."""

    model: Model
    embedder: Embedder
    rng: np.random.Generator
    options: Callable[[Sequence[Skill]], Guide]
    """The option loop over these skills, as the study chooses and ends them."""
    room: Callable[[State], int]
    """Tokens that the memory's text may take at a decision (`Room`)."""
    env_seed: int | None = None
    """The game that is evaluated; None while learning."""
    playing: int | None = None
    """The environment seed of the game that is played, learning or not: for memories that hold what they know of one
    game for that game alone."""


@dataclass(frozen=True)
class Room:
    """Tokens that a memory's text may take, by a budget and by the model's context.

    Of the context it leaves room for the rules and for the turns to come, to the horizon: a memory too large would
    otherwise push the episode's own turns out of the prompt. It always has half of what the rules leave.
    """

    model: Model
    horizon: int
    answer: int
    """Tokens of one answer at most."""
    budget: int | None = None
    thought: int = 0
    """Tokens by which a turn is longer, where thoughts stay in the conversation."""

    def __call__(self, state: State) -> int:
        context = self.model.card.context - self.answer - self.model.count(state.rules)
        seen = [state.observation, *(observation for observation, _ in state.turns)]
        turn = max(map(self.model.count, seen)) + TURN + self.thought
        left = max(context - self.horizon * turn, context // 2, 0)
        return left if self.budget is None else min(left, self.budget)

    def fitting(self, skills: Sequence[Skill]) -> Sequence[Skill]:
        """Those that are no longer than the budget."""
        if self.budget is None:
            return skills
        return [skill for skill in skills if self.model.count(skill_text(skill)) <= self.budget]


class Memory(Protocol):
    """A frozen value: evaluation leaves it as it was, and its digest names it in every record."""

    @property
    def digest(self) -> str: ...

    @property
    def units(self) -> tuple[Unit, ...]:
        """All that recall can show."""
        ...

    @property
    def archive(self) -> tuple[str, ...]:
        """Ids of trajectories that are kept for learning alone, never shown."""
        ...

    def guide(self, seat: Seat) -> Guide:
        """Its voice for one seat and episode."""
        ...

    def dumps(self) -> str:
        """Canonical JSON: the same memory is the same text."""
        ...


class UnitMemory(BaseModel, ABC):
    """A memory that recalls whole units: a subclass says which ones, best first. What recall depends on beside the
    units (votes, values, links) stands in fields of the subclass, and so in the digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: ClassVar[str]
    """The name of this kind of memory in `MEMORIES` and in files."""

    units: tuple[Unit, ...] = ()
    archive: tuple[str, ...] = ()

    @abstractmethod
    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        """Which of `units` (those that may be recalled here) to show in this state, the best first."""

    def guide(self, seat: Seat) -> Guide:
        return self.timed(partial(self.recall, seat))

    def timed(self, recall: RecallUnits) -> Guide:
        """One recall at the start, whose text stands to the end; a memory that recalls at each step overrides it."""
        return AtStart(recall)

    def arrange(self, chosen: Sequence[Unit]) -> Sequence[Unit]:
        """The order in which chosen units are shown."""
        return chosen

    async def recall(self, seat: Seat, state: State) -> Recalled:
        """The chosen units, as many as there is room for; one that does not fit is left out whole, and counted."""
        chosen = await self.choose(seat, state, recallable(self.units, seat.env_seed))
        return self.show(chosen, seat, state)

    def show(self, chosen: Sequence[Unit], seat: Seat, state: State) -> Recalled:
        room = seat.room(state)
        fitting: list[Unit] = []
        for unit in chosen:
            if seat.model.count(self.words([*fitting, unit])) <= room:
                fitting.append(unit)
        return Recalled(self.words(fitting), tuple(unit.id for unit in fitting), len(chosen) - len(fitting))

    def words(self, units: Sequence[Unit]) -> str:
        """What stands in the prompt of these units."""
        return memory_text([unit.text for unit in self.arrange(units)])

    def holding(self, units: Iterable[Unit]) -> Self:
        """The same memory with these units in place of its own, for a control."""
        return self.model_copy(update={"units": tuple(units)})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, which would carry the digest of the old content along."""
        copied = super().model_copy(update=update, deep=deep)
        vars(copied).pop("content_digest", None)
        return copied

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of all its content."""
        return self.content_digest

    @cached_property
    def content_digest(self) -> str:
        content = json.dumps([self.label, self.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def dumps(self) -> str:
        document: dict[str, Any] = {"format": FORMAT, "version": VERSION, "memory": self.label, "digest": self.digest}
        content = {"content": self.model_dump(mode="json")}
        return json.dumps(document | content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def inherited(values: Mapping[str, Value], units: Iterable[Unit]) -> dict[str, Value]:
    """What is known by unit, where `units` take the place of the parents they name."""
    heirs = {parent: unit.id for unit in units for parent in unit.parents}
    return {heirs.get(id, id): value for id, value in values.items()}


def recallable(units: Sequence[Unit], env_seed: int | None) -> list[Unit]:
    """All but what was made from the very game that is evaluated."""
    return [unit for unit in units if env_seed is None or env_seed not in unit.env_seeds]
