"""Agent Workflow Memory (Wang et al. 2024, 2409.07429): what successful episodes have in common, as workflows.

Official code: zorazrw/agent-workflow-memory 5a91577, webarena/{pipeline,induce_prompt}.py: after each task one call
rewrites the whole file of workflows from all successful episodes so far, and all of it stands in the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.guide import State
from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, course
from transfer.memories.likeness import nearest
from transfer.memory.experience import Trajectory, recalled
from transfer.memory.memory import Seat, Unit, UnitMemory

Writing = Literal["rebuild", "append"]

INDUCING = {
    "task": "You find the routines that recur in successful games, so that others can follow them. You answer in JSON.",
    "induce": (
        "Players were told these rules:\n{rules}\n\nGames that went well:\n\n{games}\n\n"
        "Write the workflows: courses of moves that recur in these games and serve in others like them. Each has a "
        "goal in one sentence and at least two steps. A step says what is seen (state), why one acts (reasoning) and "
        "the move (action). Where a word belongs to one game only, put a variable in its place, such as {{object}}. "
        "Do not write the same workflow twice, nor one that is part of another."
    ),
    "game": "Game {number}, {total:.3g} points:\n{course}",
    "workflow": "Workflow: {goal}\n{steps}",
    "step": "{number}. Seen: {state} Thought: {reasoning} Move: {action}",
}
ANSWER = 2048
"""Tokens of an answer at most, as in the official code."""
MARKS = 24
"""Tokens that a chat template may spend on one message."""

Line = Annotated[str, Field(max_length=200)]


class Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Line
    reasoning: Line
    action: Annotated[str, Field(min_length=1, max_length=200)]


class Workflow(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: Annotated[str, Field(min_length=1, max_length=200)]
    steps: Annotated[list[Step], Field(min_length=2, max_length=10)]


class Workflows(BaseModel):
    """As the evolver writes them; lengths are bounded, so that a small model's answer ends before its budget does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflows: Annotated[list[Workflow], Field(min_length=1, max_length=8)]


class AwmChoices(MemoryChoices):
    writing: Writing = "rebuild"
    """Rewrite all workflows from all successes (the paper, online), or add those of each success, as others' versions
    do (EvolveLab, EvoMemBench)."""
    k: int = Field(default=10, ge=1)
    """Workflows shown where they are appended (workflow/retrieve.py); rebuilt ones are all shown."""
    temperature: float = Field(default=1.0, ge=0.0)


class Awm(UnitMemory):
    """Workflows: all of them, or the k likest to what is seen. `archive` holds the successes they were made from."""

    label: ClassVar[str] = "awm"

    k: int | None
    """None shows all."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        return units if self.k is None else nearest(seat, state.observation, units, self.k)


class AwmLearner(MemoryLearner[Awm]):
    """One call an iteration with a success in it (rebuild), or one a success (append)."""

    def __init__(self, means: Means, choices: AwmChoices) -> None:
        super().__init__(means, Awm(k=None if choices.writing == "rebuild" else choices.k))
        self._choices = choices

    async def learn(self, memory: Awm, lessons: Lessons) -> Awm:
        fresh = sorted(lessons.successes, key=lambda trajectory: trajectory.id)
        if not fresh:
            return memory
        ids = tuple(dict.fromkeys([*memory.archive, *(trajectory.id for trajectory in fresh)]))
        if self._choices.writing == "rebuild":
            units = await self._rebuilt(memory, fresh, lessons)
        else:
            units = await self._appended(memory, fresh, lessons)
        return memory.model_copy(update={"units": units, "archive": ids})

    async def _rebuilt(self, memory: Awm, fresh: Sequence[Trajectory], lessons: Lessons) -> tuple[Unit, ...]:
        earlier = recalled([id for id in memory.archive if id not in {each.id for each in fresh}], lessons.recall)
        successes = sorted([*earlier, *fresh], key=lambda trajectory: trajectory.id)
        induced = await self._induce(self._fitting(successes), lessons)
        if induced is None:
            return memory.units
        old, new = ({unit.id: unit for unit in units} for units in (memory.units, induced))
        for id, unit in old.items():
            if id not in new:
                lessons.dropped(unit, "rebuilt without it")
        for id, unit in new.items():
            if id not in old:
                lessons.written(unit)
        return tuple(new.values())

    async def _appended(self, memory: Awm, fresh: Sequence[Trajectory], lessons: Lessons) -> tuple[Unit, ...]:
        units = {unit.id: unit for unit in memory.units}
        for trajectory in fresh:
            for unit in await self._induce([trajectory], lessons) or ():
                if unit.id in units:
                    units[unit.id] = units[unit.id].with_evidence_of(unit)
                else:
                    units[unit.id] = unit
                    lessons.written(unit)
        return tuple(units.values())

    async def _induce(self, games: Sequence[Trajectory], lessons: Lessons) -> list[Unit] | None:
        answer = await lessons.ask(
            Workflows,
            question(games[0].rules, games),
            *(game.id for game in games),
            temperature=self._choices.temperature,
            tokens=ANSWER,
        )
        return None if answer is None else [_unit(workflow, games) for workflow in answer.workflows]

    def _fitting(self, successes: Sequence[Trajectory]) -> Sequence[Trajectory]:
        """All, or as many as the evolver's context holds, evenly over them; at least one."""
        evolver = self._means.evolver
        bare = question(successes[0].rules, ())
        room = evolver.card.context - ANSWER - sum(evolver.count(message.content) + MARKS for message in bare)
        sizes = {game.id: evolver.count(_told(number, game)) for number, game in enumerate(successes)}
        for count in range(len(successes), 1, -1):
            sample = evenly(successes, count)
            if sum(sizes[game.id] for game in sample) <= room:
                return sample
        return evenly(successes, 1)


def evenly(successes: Sequence[Trajectory], count: int) -> list[Trajectory]:
    """So many of them, at equal distances."""
    return [successes[place * len(successes) // count] for place in range(count)]


def question(rules: str, games: Sequence[Trajectory]) -> tuple[Message, ...]:
    """What the evolver is asked, with every game that it is to learn from."""
    told = "\n\n".join(_told(number, game) for number, game in enumerate(games, 1))
    return (Message("system", INDUCING["task"]), Message("user", INDUCING["induce"].format(rules=rules, games=told)))


def _told(number: int, game: Trajectory) -> str:
    return INDUCING["game"].format(number=number, total=game.total, course=course(game))


def _unit(workflow: Workflow, games: Sequence[Trajectory]) -> Unit:
    steps = "\n".join(
        INDUCING["step"].format(number=number, **step.model_dump()) for number, step in enumerate(workflow.steps, 1)
    )
    return Unit(
        kind="workflow",
        text=INDUCING["workflow"].format(goal=workflow.goal, steps=steps),
        key=workflow.goal,
        trajectories=tuple(game.id for game in games),
        env_seeds=tuple(dict.fromkeys(game.env_seed for game in games)),
    )


def _make(means: Means, given: Mapping[str, Any]) -> AwmLearner:
    return AwmLearner(means, AwmChoices.read(given, Awm.label))


AWM = MemoryKind(Awm, _make, "2409.07429; zorazrw/agent-workflow-memory 5a91577: all workflows rebuilt, all shown")
