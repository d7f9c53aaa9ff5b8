"""Reflexion (2303.11366; noahshinn/reflexion 218cf0e, alfworld_runs): after a failed attempt the model writes a short
new plan, which stands in the prompt of the next attempt at the same game.

Not taken over: that the same move twice running ends an attempt as failed, and that short replies are drawn again (both
are the player's, and ours is the same in all arms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, Field, StringConstraints

from agents.guide import State
from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory

WORDS = {
    "task": "You study a game that a player has failed, and write the plan for the next attempt. You answer in JSON.",
    "reflect": (
        "A player failed at a game. Do not retell what happened. Find out where the player's way of going about it "
        "went wrong, and write a short new plan for {next} that avoids the mistake and names the moves that should be "
        "made. The player will read it before the first move.\n\nTwo examples.\n\n{examples}\n\nNow the game that "
        "was failed. Its rules:\n{rules}\n\nWhat happened:\n{course}\n\nIt ended with {total:.3g} points: failed."
        "\n\n{plans}plan: the new plan."
    ),
    "retry": "the same game",
    "carried": "other games of this kind",
    "plans": "Plans that were followed before:\n{plans}\n\n",
    "examples": (
        "The player had to bring a clean cup to the shelf. It looked for the cup in the hall and in the kitchen, found "
        "it in the kitchen, carried it to the shelf and put it there, again and again, and time ran out.\n"
        "plan: I put the cup on the shelf without washing it, so nothing was achieved. Next time: go to the kitchen "
        "first, take the cup, wash it at the sink, and only then go to the shelf and put it there.\n\n"
        "The player had to find a number from 1 to 50 in six guesses. It guessed 1, 2, 3, 4, 5 and 6, and was told "
        "each time that the number is higher.\n"
        "plan: I went up one by one and wasted the replies. Next time: guess 25 first, and after each reply guess the "
        "middle of what is left."
    ),
}

Form = Literal["retry", "carried"]


class ReflexionChoices(MemoryChoices):
    form: Form = "retry"
    """Plans for the same game played again, as published; or carried to other games of the task, which can transfer."""
    attempts: int = Field(default=10, ge=1)
    """At one game, the first among them; further ones are taken off the learning budget. `retry` only."""
    keep: int = Field(default=3, ge=1)
    """Ω: the latest plans of a game (`carried`: of a task) that are shown; older ones are gone."""
    reflect: bool = True
    """False: as many attempts without any plan, to which the plans are to be compared."""


class Reflection(BaseModel):
    plan: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=900)]


class Reflexion(UnitMemory):
    """Plans, the latest last. A plan's key is the environment seed of its game, or (`carried`) its task."""

    label: ClassVar[str] = "reflexion"

    form: Form
    keep: int

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        """The latest plans first: where there is no room for all, the oldest stays out."""
        about = units if self.form == "carried" else [unit for unit in units if unit.key == str(seat.playing)]
        return about[::-1][: self.keep]

    def arrange(self, chosen: Sequence[Unit]) -> Sequence[Unit]:
        places = {unit.id: place for place, unit in enumerate(self.units)}
        return sorted(chosen, key=lambda unit: places[unit.id])

    def plans(self, trajectory: Trajectory) -> list[Unit]:
        """What a player of this episode was to be told."""
        return [unit for unit in self.units if unit.key == self.key(trajectory)]

    def key(self, trajectory: Trajectory) -> str:
        return trajectory.task if self.form == "carried" else str(trajectory.env_seed)


async def reflect(memory: Reflexion, trajectory: Trajectory, lessons: Lessons) -> Reflexion:
    """The memory with a plan written of a failed episode; the plan before the last `keep` leaves it."""
    old = memory.plans(trajectory)
    answer = await lessons.ask(Reflection, _question(memory, trajectory, old), trajectory.id, tokens=256)
    if answer is None:
        return memory
    plan = Unit(
        kind="plan",
        key=memory.key(trajectory),
        text=answer.plan,
        parents=tuple(unit.id for unit in old),
        trajectories=(trajectory.id,),
        env_seeds=(trajectory.env_seed,),
    )
    lessons.written(plan)
    earlier = [unit for unit in old if unit.id != plan.id]
    surplus = earlier[: max(0, len(earlier) + 1 - memory.keep)]
    for unit in surplus:
        lessons.dropped(unit, f"{memory.keep} later plans are there")
    gone = {plan.id, *(unit.id for unit in surplus)}
    return memory.holding([*(unit for unit in memory.units if unit.id not in gone), plan])


def _question(memory: Reflexion, trajectory: Trajectory, old: Sequence[Unit]) -> tuple[Message, ...]:
    lines = "\n".join(f"{number}. {unit.text}" for number, unit in enumerate(old, 1))
    text = WORDS["reflect"].format(
        next=WORDS[memory.form],
        examples=WORDS["examples"],
        rules=trajectory.rules,
        course=course(trajectory),
        total=trajectory.total,
        plans=WORDS["plans"].format(plans=lines) if old else "",
    )
    return Message("system", WORDS["task"]), Message("user", text)


class ReflexionLearner(MemoryLearner[Reflexion]):
    """A success writes nothing. What is failed is reflected upon, and with `retry` played again."""

    def __init__(self, means: Means, choices: ReflexionChoices) -> None:
        super().__init__(means, Reflexion(form=choices.form, keep=choices.keep))
        self._reflect = choices.reflect
        self._attempts = choices.attempts if choices.form == "retry" else 1

    async def learn(self, memory: Reflexion, lessons: Lessons) -> Reflexion:
        again = await play_again(memory, lessons, self._attempts, reflecting=self._reflect)
        return await _reflect(again.memory, again.failed, lessons) if self._reflect else again.memory


class Attempts(NamedTuple):
    """What came of playing failed games again."""

    memory: Reflexion
    outcomes: list[Outcome]
    """Of the further episodes, in the order in which they were played."""
    failed: list[Trajectory]
    """The last attempts, where they failed: no plan is written of them yet."""


async def play_again(memory: Reflexion, lessons: Lessons, attempts: int, *, reflecting: bool = True) -> Attempts:
    """Play this iteration's failed games until solved, or tried `attempts` times; a plan before each further try."""
    failed, outcomes = lessons.failures, list[Outcome]()
    for _ in range(attempts - 1):
        if not failed:
            break
        if reflecting:
            memory = await _reflect(memory, failed, lessons)
        games = list(dict.fromkeys(trajectory.env_seed for trajectory in failed))
        played = await lessons.play(memory if memory.units else None, games)
        outcomes += played
        failed = [outcome.trajectory for outcome in played if not outcome.success]
    return Attempts(memory, outcomes, failed)


async def _reflect(memory: Reflexion, failed: Sequence[Trajectory], lessons: Lessons) -> Reflexion:
    for trajectory in failed:
        memory = await reflect(memory, trajectory, lessons)
    return memory


def _make(means: Means, given: Mapping[str, Any]) -> ReflexionLearner:
    return ReflexionLearner(means, ReflexionChoices.read(given, Reflexion.label))


def _retries(given: Mapping[str, Any]) -> bool:
    return ReflexionChoices.read(given, Reflexion.label).form == "retry"


REFLEXION = MemoryKind(
    Reflexion, _make, "2303.11366; noahshinn/reflexion 218cf0e, alfworld_runs: 10 trials, the last 3 plans", _retries
)
