"""G-Memory (Zhang et al. 2025, 2506.07398): episodes with their key steps, a graph of what was asked, and insights.

Official code: bingreeky/GMemory 7b581c5, mas/memory/mas_memory/GMemory.py and tasks/run.py, made for teams. One seat
plays here, as its AutoGen team does while nobody is stuck, and insights are not rewritten for roles. Nodes are episodes
and not task texts, for in many games all first observations are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, opening, shown, whole
from transfer.memories.notes.insight_writer import ask, changed, listed, merged, question, tuned
from transfer.memories.notes.insights import alive, voted
from transfer.memories.notes.query_graph import GMemory, Query
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Unit

JOINED = 10
"""Nodes to which a new one may be joined."""
TUNED_EVERY, MERGED_EVERY = 5, 20
"""Episodes."""

WRITING = {
    "key steps": (
        "The player was told these rules:\n{rules}\n\nThis happened:\n{course}\n\n"
        "Write the few steps on which the outcome turned, in their order, without those that led nowhere."
    ),
    "mistake": (
        "The player was told these rules:\n{rules}\n\nThis game went badly:\n{course}\n\n"
        "Write in one or two sentences where the mistake lay and what it was."
    ),
    "success": "Key steps:\n{steps}\n\n{episode}",
    "failure": "{episode}\nWhat was wrong: {mistake}",
}


class KeySteps(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[list[Annotated[str, Field(min_length=1, max_length=160)]], Field(min_length=1, max_length=8)]


class Mistake(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mistake: Annotated[str, Field(min_length=1, max_length=400)]


class GMemoryChoices(MemoryChoices):
    """Defaults are those of the command line (tasks/run.py); the class's own are 2, 1, 10 and .3."""

    successes: int = Field(default=1, ge=0)
    """Successful episodes shown."""
    failures: int = Field(default=0, ge=0)
    """Failed episodes shown."""
    insights: int = Field(default=3, ge=0)
    """Insights shown."""
    threshold: float = Field(default=0.0, ge=-1.0, le=1.0)
    """Least cosine of an episode that is shown."""
    hop: int = Field(default=1, ge=0)
    """Edges from the likest nodes to those that count as related."""
    edge: float = Field(default=0.85, ge=-1.0, le=1.0)
    """Least cosine of two joined nodes: 1 − squared distance ≥ .7 in the official store."""
    rank: Literal["score", "likeness"] = "score"
    """Twice as many successes as are shown are scored by the acting model, as the paper has it and the code asks, a
    call each; the code as released then takes the likest all the same."""
    digits: Literal["stripped", "kept"] = "stripped"
    """Whether writers are told the digits of a game; the official code strips them, which ruins games of numbers."""
    merged: Literal["ninth", "third"] = "ninth"
    """To how many of them insights are merged: the code divides by three twice, and by eight or fewer asks for none,
    where we ask for one."""


class GMemoryLearner(MemoryLearner[GMemory]):
    """A call an episode and one more for a failed one; up to 15 at every fifth; a few at every twentieth."""

    def __init__(self, means: Means, choices: GMemoryChoices) -> None:
        given = choices.model_dump(include={"successes", "failures", "threshold", "hop", "rank"})
        super().__init__(means, GMemory(shown_insights=choices.insights, **given))
        self._choices = choices

    async def learn(self, memory: GMemory, lessons: Lessons) -> GMemory:
        divisor = 9 if self._choices.merged == "ninth" else 3
        numbers = {id: insight.number for id, insight in memory.insights.items()}
        for outcome in sorted(lessons.outcomes, key=lambda outcome: outcome.trajectory.id):
            known = memory.learnt
            memory = await self._remembered(memory, outcome, lessons)
            if memory.learnt > known:
                if memory.learnt % TUNED_EVERY == 0:
                    memory = await tuned(memory, lessons)
                if memory.learnt % MERGED_EVERY == 0:
                    memory = await merged(memory, lessons, divisor)
            stood = {numbers[id] for id in shown(outcome.trajectory) if id in numbers}
            votes = alive(voted(memory.rules, stood, outcome.success))
            memory = changed(memory, votes, lessons)
        return memory

    async def _remembered(self, memory: GMemory, outcome: Outcome, lessons: Lessons) -> GMemory:
        """With this episode, once its key steps are written, and what was wrong where it failed."""
        trajectory, success = outcome
        useful = without_penalties(trajectory)
        told = {"rules": trajectory.rules, "course": self._legible(course(useful))}
        found = await ask(lessons, KeySteps, question(WRITING["key steps"], **told), [trajectory.id])
        if found is None:
            return memory
        mistake = ""
        if not success:
            wrong = await ask(lessons, Mistake, question(WRITING["mistake"], **told), [trajectory.id])
            if wrong is None:
                return memory
            mistake = wrong.mistake
        played = WRITING["success"] if success else WRITING["failure"]
        unit = Unit(
            kind="episode",
            text=played.format(
                steps=listed(found.steps), episode=whole(useful if success else trajectory), mistake=mistake
            ),
            key=opening(trajectory),
            trajectories=(trajectory.id,),
            env_seeds=(trajectory.env_seed,),
        )
        alike = memory.by_likeness(self._means.embedder, unit.key, memory.units)[:JOINED]
        joined = memory.trajectories([each for each, cosine in alike if cosine >= self._choices.edge])
        query = Query(
            trajectory=trajectory.id,
            success=success,
            key_steps=tuple(found.steps),
            mistake=mistake,
            neighbours=tuple(joined),
        )
        if unit.id not in memory.queries:
            lessons.written(unit)
        return memory.with_episode(unit, query)

    def _legible(self, text: str) -> str:
        return re.sub(r"\d+", "", text) if self._choices.digits == "stripped" else text


def without_penalties(trajectory: Trajectory) -> Trajectory:
    """Without the steps of negative reward; as it is where there are no others."""
    steps = tuple(step for step in trajectory.steps if step.reward >= 0)
    return trajectory.model_copy(update={"steps": steps}) if steps else trajectory


def _make(means: Means, given: Mapping[str, Any]) -> GMemoryLearner:
    return GMemoryLearner(means, GMemoryChoices.read(given, GMemory.label))


G_MEMORY = MemoryKind(
    GMemory,
    _make,
    "2506.07398; bingreeky/GMemory 7b581c5: one success, no failure, three insights, one seat of its team",
)
