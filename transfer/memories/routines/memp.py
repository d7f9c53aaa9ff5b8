"""Memp, procedural memory (2508.06433). Official code: zjunlp/MemP at 3066a1b, ProcedureMem/{memory,memory_adjust}.py.

Its config.yaml was never released, so `build`, `update` and `key` have no official default. The code credits an episode
to the wrong one of two equal tasks of a batch, and begins with workflows of experts' games: neither is followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from agents.embedding import Embedder
from agents.guide import State
from agents.models.model import Sampling
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, opening, shown, whole
from transfer.memories.likeness import likeness
from transfer.memories.routines.memp_writer import KeyFacts, WorkflowWriter, ask
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory
from transfer.nppo.evolver import Unusable, structured

Key = Literal["query", "facts"]

TRIES, WORTH = 3, 0.5
"""A workflow is forgotten after so many hits, where fewer of them than this share were successes."""
GUIDELINES = "How to play a game that begins like this: {query}\n{guidelines}"


class MempChoices(MemoryChoices):
    build: Literal["direct", "round"] = "direct"
    """One call writes the workflow; or ("round") one lists what happened and another picks the events that mattered."""
    form: Literal["script", "trajectory", "both"] = "script"
    """What is stored: the workflow (the code), the episode itself without any call, or both (the paper's best)."""
    update: Literal["vanilla", "validation", "reflect"] = "reflect"
    """Write from all episodes; from successes; or from successes, while a failure rewrites the workflow it was shown
    (the paper's best)."""
    key: Key = "query"
    """By the task's text, or by the mean of its key facts, for which a model is asked when writing and when reading."""
    k: int = Field(default=10, ge=1)
    distance: float = Field(default=0.5, ge=0.0, le=4.0)
    """Most squared Euclidean distance of unit vectors (FAISS's score), which is 2 − 2 cos: .5 is a cosine of .75."""
    capacity: int = Field(default=1000, ge=1)
    """Workflows; what comes later is not written."""
    repeated: Literal["skip", "keep"] = "skip"
    """A task whose text is stored already. Games that all begin alike have one workflow unless these are kept."""
    credit: Literal["first", "all"] = "first"
    """For which workflows an episode counts: the nearest alone (the code), or all that were shown."""


class Entry(BaseModel):
    """What is known of one unit beside its text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    workflow: str
    """As it stands in the unit's text; empty where the unit is an episode alone."""
    hits: int = 0
    successes: int = 0

    @property
    def failing(self) -> bool:
        return self.hits >= TRIES and self.successes / self.hits < WORTH


class Memp(UnitMemory):
    """Workflows by likeness of the task; how often each was of use decides what is forgotten."""

    label: ClassVar[str] = "memp"

    k: int
    distance: float
    by: Key
    entries: Mapping[str, Entry] = {}
    """By unit."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        if not units:
            return []
        query = await facts_of(seat, state.observation) if self.by == "facts" else state.observation
        alike = alikeness(seat.embedder, query, [unit.key for unit in units], self.by)
        order = sorted(range(len(units)), key=lambda index: (-alike[index], -index))
        return [units[index] for index in order[: self.k] if 2.0 - 2.0 * alike[index] <= self.distance]

    def with_entries(self, units: Sequence[Unit], entries: Mapping[str, Entry]) -> Memp:
        return self.model_copy(update={"units": tuple(units), "entries": {unit.id: entries[unit.id] for unit in units}})


async def facts_of(seat: Seat, query: str) -> str:
    """The key facts of what is seen, one a line, by the acting model (1 call); all of it where it names none."""
    sampling = Sampling(0.0, max_tokens=512, seed=int(seat.rng.integers(2**31)))
    try:
        found = await structured(seat.model, ask("facts", query=query), KeyFacts, sampling)
    except Unusable:
        return query
    return "\n".join(found.facts)


def alikeness(embedder: Embedder, query: str, keys: Sequence[str], by: Key) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cosine of the query with each key; of facts, between the mean directions of a text's lines."""
    if by == "query":
        return likeness(embedder, query, keys)
    rows = np.stack([np.mean(embedder.embed(text.split("\n")), axis=0, dtype=np.float64) for text in (query, *keys)])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.round(rows[1:] @ rows[0], 6)


class MempLearner(MemoryLearner[Memp]):
    """Counts, then forgets, then writes, as the official `update`."""

    def __init__(self, means: Means, choices: MempChoices) -> None:
        super().__init__(means, Memp(k=choices.k, distance=choices.distance, by=choices.key))
        self._choices = choices
        self._writer = WorkflowWriter(choices.build)

    async def learn(self, memory: Memp, lessons: Lessons) -> Memp:
        memory = forget(credit(memory, lessons, self._choices.credit), lessons)
        for trajectory, success in lessons.outcomes:
            if success or self._choices.update == "vanilla":
                memory = await self._write(memory, trajectory, lessons)
        if self._choices.update == "reflect":
            for trajectory in lessons.failures:
                memory = await self._reflect(memory, trajectory, lessons)
        return memory

    async def _write(self, memory: Memp, trajectory: Trajectory, lessons: Lessons) -> Memp:
        query = opening(trajectory)
        if self._choices.repeated == "skip" and any(entry.query == query for entry in memory.entries.values()):
            return memory
        if len(memory.units) >= self._choices.capacity:
            lessons.skip(f"the memory is full: it holds {len(memory.units)} workflows", trajectory.id)
            return memory
        workflow = "" if self._choices.form == "trajectory" else await self._writer.workflow(trajectory, lessons)
        key = query if self._choices.key == "query" else await self._writer.facts(trajectory, lessons)
        if workflow is None or key is None:
            return memory
        example = "" if self._choices.form == "script" else whole(trajectory)
        guidelines = "\n".join(part for part in (workflow, example) if part)
        unit = Unit(
            kind="workflow",
            key=key,
            text=GUIDELINES.format(query=query, guidelines=guidelines),
            trajectories=(trajectory.id,),
            env_seeds=(trajectory.env_seed,),
        )
        if unit.id in memory.entries:
            return memory
        lessons.written(unit)
        entries = {**memory.entries, unit.id: Entry(query=query, workflow=workflow)}
        return memory.with_entries((*memory.units, unit), entries)

    async def _reflect(self, memory: Memp, trajectory: Trajectory, lessons: Lessons) -> Memp:
        """The nearest workflow that was shown is rewritten; nothing where it has gone, or was mended just before."""
        old = next((unit for unit in memory.units if unit.id in shown(trajectory)[:1]), None)
        if old is None or not memory.entries[old.id].workflow:
            return memory
        mended = await self._writer.mend(memory.entries[old.id].workflow, trajectory, lessons)
        return memory if mended is None else rewrite(memory, old, mended, trajectory, lessons)


def credit(memory: Memp, lessons: Lessons, whose: Literal["first", "all"]) -> Memp:
    """Hits and successes after these episodes. The first unit that was shown is the nearest one."""
    entries = dict(memory.entries)
    for trajectory, success in lessons.outcomes:
        for unit in shown(trajectory)[: 1 if whose == "first" else None]:
            if unit in entries:
                counts = {"hits": entries[unit].hits + 1, "successes": entries[unit].successes + success}
                entries[unit] = entries[unit].model_copy(update=counts)
    return memory.with_entries(memory.units, entries)


def forget(memory: Memp, lessons: Lessons) -> Memp:
    """Without the workflows that have failed too often."""
    kept: list[Unit] = []
    for unit in memory.units:
        entry = memory.entries[unit.id]
        if entry.failing:
            lessons.dropped(unit, f"{entry.successes} successes in {entry.hits} hits")
        else:
            kept.append(unit)
    return memory.with_entries(kept, memory.entries)


def rewrite(memory: Memp, old: Unit, workflow: str, trajectory: Trajectory, lessons: Lessons) -> Memp:
    """The same memory with another workflow in this unit's place, under its key and with its hits."""
    entry = memory.entries[old.id]
    heading = GUIDELINES.format(query=entry.query, guidelines="")
    example = old.text.removeprefix(heading + entry.workflow)
    unit = Unit(
        kind=old.kind,
        key=old.key,
        text=heading + workflow + example,
        parents=(old.id,),
        trajectories=(*old.trajectories, trajectory.id),
        env_seeds=(*old.env_seeds, trajectory.env_seed),
    )
    if unit.id in memory.entries:
        return memory
    lessons.written(unit, action="rewritten")
    entries = {**memory.entries, unit.id: entry.model_copy(update={"workflow": workflow})}
    return memory.with_entries([unit if known.id == old.id else known for known in memory.units], entries)


def _make(means: Means, given: Mapping[str, Any]) -> MempLearner:
    return MempLearner(means, MempChoices.read(given, Memp.label))


MEMP = MemoryKind(Memp, _make, "Memp (2508.06433), zjunlp/MemP at 3066a1b: k = 10 workflows within a distance of .5")
