"""Fakes: an evolver that is told what to answer, an embedder that is told where texts point, a run of a learner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import numpy as np

from agents.embedding import Embedder
from agents.guide import Guidance, State
from agents.models.model import Model, Request
from tests.support.fake_evolver import FakeModel, kind_of
from tests.support.lessons import RULES, learn, seat
from tests.support.lessons import episode as played
from transfer.memory.events.event import Event
from transfer.memory.experience import Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.memory import Memory
from transfer.memory.state import MemoryState


def episode(
    id: str, solved: bool = True, *, opening: str = "Round 0.", seed: int = 0, units: Sequence[str] = ()
) -> Trajectory:
    """An episode of two moves."""
    return played(id, "[a]", "[b]", solved=solved, seed=seed, sight=opening, units=units)


class Told(FakeModel):
    """Answers each kind of question as it is told, a list in turn; "nonsense" to all others."""

    def __init__(self, **answers: Any) -> None:
        self._told = {kind: iter(told) if isinstance(told, list) else told for kind, told in answers.items()}
        super().__init__(self._reply, name="evolver")

    def _reply(self, request: Request) -> str:
        told = self._told.get(kind_of(request), "nonsense")
        if hasattr(told, "__next__"):
            told = next(told)
        return told if isinstance(told, str) else json.dumps(told)

    def asked(self, kind: str) -> list[str]:
        """The questions of this kind, in order."""
        return [request.messages[-1].content for request in self.requests if kind_of(request) == kind]


class Directions:
    """An embedder that is told where each text points, in degrees; another's text points nowhere."""

    def __init__(self, degrees: Mapping[str, float]) -> None:
        self._degrees = degrees

    def embed(self, texts: Sequence[str]) -> Any:
        angles = [np.deg2rad(self._degrees.get(text, np.nan)) for text in texts]
        return np.nan_to_num([(np.cos(angle), np.sin(angle)) for angle in angles]).astype(np.float32)


class Learning:
    """A learner that goes on from where it was; `play` is a fake, too."""

    def __init__(
        self, name: str, evolver: Model, play: Play = unplayable, embedder: Embedder | None = None, **choices: Any
    ) -> None:
        self.evolver, self.events = evolver, list[Event]()
        self._name, self._play, self._embedder, self._choices = name, play, embedder, choices
        self.state: MemoryState | None = None

    @property
    def memory(self) -> Any:
        assert self.state is not None
        return self.state.memory

    def learn(self, *episodes: Trajectory) -> Learning:
        """One iteration."""
        self.state, events = learn(
            self._name,
            episodes,
            evolver=self.evolver,
            choices=self._choices,
            start=self.state,
            play=self._play,
            embedder=self._embedder,
        )
        self.events += events
        return self

    @property
    def happened(self) -> list[str]:
        """What happened to units so far: "written", "rewritten", "dropped", …, and "skipped"."""
        return [getattr(event, "action", event.kind) for event in self.events if event.kind in ("unit", "skipped")]


def recall(
    memory: Memory, sight: str = "Round 0.", embedder: Embedder | None = None, model: Model | None = None, **about: Any
) -> Guidance:
    """What the memory brings to mind at the start of an episode."""
    there = seat(model, **about)
    there = there if embedder is None else replace(there, embedder=embedder)
    return anyio.run(memory.guide(there).guide, State(RULES, (), sight))
