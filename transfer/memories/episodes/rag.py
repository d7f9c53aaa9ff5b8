"""RAG over trajectories: whole episodes, shown as examples. The nearest sources are Synapse (2306.07863), ExpeL's
retrieval half (2308.10144) and self-generated examples (2505.00234); no single paper defines it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from agents.guide import AtStart, EachStep, Guide, RecallUnits, State
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, opening, whole
from transfer.memories.likeness import nearest
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory, inherited


class RagChoices(MemoryChoices):
    k: int = Field(default=3, ge=1)
    """Episodes shown (Synapse)."""
    keep: Literal["successes", "all"] = "successes"
    """What is stored: all official forms keep successes only."""
    recall: Literal["start", "step"] = "start"
    """Once an episode by its first observation, or at each step by the latest."""


class Rag(UnitMemory):
    """Episodes by likeness of what is seen; among equals the best return, then the latest."""

    label: ClassVar[str] = "rag"

    k: int
    at: Literal["start", "step"]
    returns: Mapping[str, float] = {}
    """R(τ) by unit."""

    def timed(self, recall: RecallUnits) -> Guide:
        return AtStart(recall) if self.at == "start" else EachStep(recall)

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        return nearest(seat, state.observation, units, self.k, prefer=self.returns)

    def holding(self, units: Iterable[Unit]) -> Self:
        held = tuple(units)
        return self.model_copy(update={"units": held, "returns": inherited(self.returns, held)})


class RagLearner(MemoryLearner[Rag]):
    """Stores episodes as they are; asks no model."""

    def __init__(self, means: Means, choices: RagChoices) -> None:
        super().__init__(means, Rag(k=choices.k, at=choices.recall))
        self._keep = choices.keep

    async def learn(self, memory: Rag, lessons: Lessons) -> Rag:
        units, returns = memory.units, dict(memory.returns)
        for trajectory, success in lessons.outcomes:
            if not success and self._keep == "successes":
                continue
            unit = episode_unit(trajectory)
            units = remembered(units, unit)
            if unit.id not in returns:
                lessons.written(unit, text="", value=trajectory.total)
            returns[unit.id] = trajectory.total
        return memory.model_copy(update={"units": units, "returns": returns})


def episode_unit(trajectory: Trajectory) -> Unit:
    """A whole episode as a unit, found again by what was seen first."""
    return Unit(
        kind="episode",
        text=whole(trajectory),
        key=opening(trajectory),
        trajectories=(trajectory.id,),
        env_seeds=(trajectory.env_seed,),
    )


def remembered(units: Sequence[Unit], unit: Unit) -> tuple[Unit, ...]:
    """The units with this one as the latest; where its words were known, with the evidence of both."""
    for each in units:
        if each.id == unit.id:
            unit = each.with_evidence_of(unit)
    return (*(each for each in units if each.id != unit.id), unit)


def _make(means: Means, given: Mapping[str, Any]) -> RagLearner:
    return RagLearner(means, RagChoices.read(given, Rag.label))


RAG = MemoryKind(Rag, _make, "no single paper; Synapse (2306.07863), ltzheng/Synapse: k = 3, trajectories as examples")
