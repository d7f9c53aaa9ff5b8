"""A library of skills as Voyager keeps one (2305.16291). Official code: MineDojo/Voyager at 55e45a8,
voyager/voyager.py, voyager/agents/{skill,critic}.py.

Text games have no programs: a skill is a routine in words, with slots for what changes. The automatic curriculum, which
chooses the tasks there, is left out; so is the last attempt's program in a retry's prompt: its critique stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.guide import Recalled, State
from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, whole
from transfer.memories.likeness import nearest
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory


class LibraryChoices(MemoryChoices):
    form: Literal["routine", "episode"] = "routine"
    """A routine written of a success; or the success itself under a summary of it, as G-Memory's and EvolveLab's
    "Voyager" stores it."""
    k: int | None = Field(default=None, ge=1)
    """Skills shown: 5 routines (retrieval_top_k), or 1 episode, unless given."""
    attempts: int = Field(default=4, ge=1)
    """At one game, the first among them; further ones are taken off the learning budget."""
    signal: Literal["environment", "critic"] = "environment"
    """Who says that an attempt succeeded: the environment, as for every memory here, or the critic, as published."""

    @property
    def most(self) -> int:
        return self.k or {"routine": 5, "episode": 1}[self.form]


class Verdict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reasoning: Annotated[str, Field(max_length=400)]
    success: bool
    critique: Annotated[str, Field(max_length=400)]


class Routine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=48)]
    when: Annotated[str, Field(min_length=1, max_length=200)]
    steps: Annotated[list[Annotated[str, Field(min_length=1, max_length=160)]], Field(min_length=1, max_length=10)]


class Summary(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=6)]


WORDS = {
    "task": "You look after a player's collection of skills for games. You answer in JSON.",
    "verdict": (
        "A player was told these rules:\n{rules}\n\nWhat happened:\n{course}\n\n"
        "reasoning: how far the player came, and what was still missing.\n"
        "success: whether the goal of the rules was reached.\n"
        "critique: if it was not, what to do otherwise in the next attempt at this very game."
    ),
    "routine": (
        "A player was told these rules:\n{rules}\n\nWhat happened, to a good end:\n{course}\n\n"
        "Write down the skill behind it, for use in other games. Put a slot such as <object> or <place> wherever this "
        "game's own names stood.\n"
        "name: what it does, in two to five words.\nwhen: what a player sees when it is of use.\n"
        "steps: the moves, and what to look for between them.\n\nNames that exist already; the same name replaces that "
        "skill by a better version:\n{names}"
    ),
    "summary": (
        "A player was told these rules:\n{rules}\n\nWhat happened, to a good end:\n{course}\n\n"
        "sentences: what the game was about and how it was solved, in at most six sentences."
    ),
    "nothing": "(none)",
    "shown": "Routine {name}\nWhen: {when}\n{steps}",
    "feedback": "Your last attempt at this game failed: {critique}",
}


class Library(UnitMemory):
    """Skills by likeness of their description to what is seen and to what was wrong with the last attempt."""

    label: ClassVar[str] = "library"

    k: int
    feedback: Mapping[str, str] = {}
    """By environment seed: what was wrong with the last attempt. Only while a game is played again."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        critique = self.feedback.get(str(seat.playing), "")
        return nearest(seat, f"{state.observation}\n{critique}" if critique else state.observation, units, self.k)

    def names(self) -> dict[str, Unit]:
        return {unit.name: unit for unit in self.units if unit.name}

    async def recall(self, seat: Seat, state: State) -> Recalled:
        found = await super().recall(seat, state)
        critique = self.feedback.get(str(seat.playing), "")
        said = WORDS["feedback"].format(critique=critique) if critique else ""
        return replace(found, text="\n\n".join(part for part in (found.text, said) if part))


class LibraryLearner(MemoryLearner[Library]):
    """What fails is played again with a critique; what succeeds becomes a skill."""

    def __init__(self, means: Means, choices: LibraryChoices) -> None:
        super().__init__(means, Library(k=choices.most))
        self._choices = choices

    async def learn(self, memory: Library, lessons: Lessons) -> Library:
        tried: Sequence[Outcome] = lessons.outcomes
        for number in range(1, self._choices.attempts + 1):
            last = number == self._choices.attempts
            feedback: dict[str, str] = {}
            for outcome in tried:
                success, critique = await self._judge(outcome, lessons, last)
                if success:
                    memory = await self._add(memory, outcome.trajectory, lessons)
                else:
                    feedback[str(outcome.trajectory.env_seed)] = critique
            if last or not feedback:
                break
            tried = await lessons.play(
                memory.model_copy(update={"feedback": feedback}), [int(game) for game in feedback]
            )
        return memory

    async def _judge(self, outcome: Outcome, lessons: Lessons, last: bool) -> tuple[bool, str]:
        """Whether an attempt succeeded, and what was wrong with it. Nonsense is no success and no critique."""
        trusted = self._choices.signal == "environment"
        if trusted and (outcome.success or last):
            return outcome.success, ""
        said = await lessons.ask(Verdict, ask("verdict", outcome.trajectory), outcome.trajectory.id)
        if said is None:
            return trusted and outcome.success, ""
        return (outcome.success if trusted else said.success), said.critique

    async def _add(self, memory: Library, trajectory: Trajectory, lessons: Lessons) -> Library:
        """The memory with the skill behind a success; the one of that name, or of these very words, gives way to it."""
        unit = await (routine if self._choices.form == "routine" else example)(memory, trajectory, lessons)
        if unit is None:
            return memory
        twin = next((known for known in memory.units if known.id == unit.id), None)
        if twin is not None:
            joined = twin.with_evidence_of(unit)
            return memory.holding(joined if known is twin else known for known in memory.units)
        old = memory.names().get(unit.name)
        if old is not None:
            unit = unit.model_copy(update={"parents": (old.id,)})
        lessons.written(unit, action="written" if old is None else "rewritten")
        return memory.holding([*(known for known in memory.units if known is not old), unit])


async def routine(memory: Library, trajectory: Trajectory, lessons: Lessons) -> Unit | None:
    prompt = ask("routine", trajectory, names="\n".join(memory.names()) or WORDS["nothing"])
    written = await lessons.ask(Routine, prompt, trajectory.id)
    if written is None:
        return None
    name = " ".join(written.name.lower().split())
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(written.steps, 1))
    return Unit(
        kind="routine",
        name=name,
        key=f"{name}: {written.when}",
        text=WORDS["shown"].format(name=name, when=written.when, steps=steps),
        trajectories=(trajectory.id,),
        env_seeds=(trajectory.env_seed,),
    )


async def example(memory: Library, trajectory: Trajectory, lessons: Lessons) -> Unit | None:
    written = await lessons.ask(Summary, ask("summary", trajectory), trajectory.id)
    if written is None:
        return None
    return Unit(
        kind="episode",
        key=" ".join(written.sentences),
        text=whole(trajectory),
        trajectories=(trajectory.id,),
        env_seeds=(trajectory.env_seed,),
    )


def ask(key: str, trajectory: Trajectory, **parts: object) -> tuple[Message, ...]:
    told = WORDS[key].format(rules=trajectory.rules, course=course(trajectory), **parts)
    return Message("system", WORDS["task"]), Message("user", told)


def _make(means: Means, given: Mapping[str, Any]) -> LibraryLearner:
    return LibraryLearner(means, LibraryChoices.read(given, Library.label))


def _retries(given: Mapping[str, Any]) -> bool:
    return LibraryChoices.read(given, Library.label).attempts > 1


LIBRARY = MemoryKind(
    Library, _make, "Voyager (2305.16291), MineDojo/Voyager at 55e45a8: 4 attempts, k = 5 skills", _retries
)
