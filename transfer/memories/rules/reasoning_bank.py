"""ReasoningBank (2509.25140; google-research/reasoning-bank ed80611, WebArena): of each episode, won or lost, at most
three items of reasoning that other tasks can use; those of the likest earlier task are shown.

Departures: success is the environment's (`signal`); the player is not asked to discuss each item before it moves (how
a player reasons is the same in all arms); an item is one unit of its own, where the code stores the reply whole, and a
task without items is not found, where the code finds it and shows nothing. Scaling by several attempts (MaTTS) is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, StringConstraints

from agents.guide import State
from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, opening
from transfer.memories.likeness import likeness
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory

WORDS = {
    "task": "You distil from a player's game what helps in other games. You answer in JSON.",
    "game": "The rules of the game:\n{rules}\n\nWhat happened:\n{course}\n\n",
    "success": (
        "The player succeeded. First think about why this way of playing worked. Then write at most {most} items that "
        "help in other games of this kind: what to do, and why it works."
    ),
    "failure": (
        "The player failed. First think about where it went wrong, and why. Then write at most {most} items that help "
        "in other games of this kind: what prevents this failure, or what to do in its place."
    ),
    "form": (
        "\nAn item is general: it does not depend on this game's names and numbers. No two items say the same.\n"
        "reasoning: your thoughts, in a few sentences.\ntitle: a few words.\ndescription: one sentence, what it is "
        "about.\ncontent: one to three sentences, the insight itself."
    ),
    "judge": (
        "Did the player achieve what the rules ask for? Judge by what happened alone.\n"
        "reasoning: your thoughts, in a few sentences.\nsuccess: true or false."
    ),
    "item": "{title}. {description}\n{content}",
}


class ReasoningBankChoices(MemoryChoices):
    n: int = Field(default=1, ge=1)
    """Earlier tasks whose items are shown."""
    items: int = Field(default=3, ge=1, le=8)
    """Items kept of one episode at most."""
    signal: Literal["return", "judge"] = "return"
    """Who says whether an episode succeeded: the environment, as for all memories here, or (official) the evolver."""
    temperature: float = Field(default=1.0, ge=0)
    """At which items are written."""


def _text(longest: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


class Item(BaseModel):
    title: Annotated[str, _text(80)]
    description: Annotated[str, _text(200)]
    content: Annotated[str, _text(500)]


class Distillation(BaseModel):
    reasoning: Annotated[str, StringConstraints(max_length=600)]
    items: Annotated[list[Item], Field(max_length=8)]


class Verdict(BaseModel):
    reasoning: Annotated[str, StringConstraints(max_length=600)]
    success: bool


class ReasoningBank(UnitMemory):
    """Items in the order of their writing, each under the first observation of the episodes that it came from."""

    label: ClassVar[str] = "reasoning_bank"

    n: int

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        """All items of the n episodes that began likest to this one; of equal ones of the latest."""
        episodes: dict[str, list[Unit]] = {}
        for unit in units:
            for trajectory in unit.trajectories:
                episodes.setdefault(trajectory, []).append(unit)
        groups = list(episodes.values())
        alike = likeness(seat.embedder, state.observation, [group[0].key for group in groups])
        order = sorted(range(len(groups)), key=lambda index: (-alike[index], -index))
        return list(dict.fromkeys(unit for index in order[: self.n] for unit in groups[index]))


class ReasoningBankLearner(MemoryLearner[ReasoningBank]):
    """Every episode is distilled, successes and failures by questions of their own; nothing is merged or forgotten."""

    def __init__(self, means: Means, choices: ReasoningBankChoices) -> None:
        super().__init__(means, ReasoningBank(n=choices.n))
        self._choices = choices

    async def learn(self, memory: ReasoningBank, lessons: Lessons) -> ReasoningBank:
        for outcome in lessons.outcomes:
            succeeded = await self._succeeded(outcome, lessons)
            if succeeded is not None:
                memory = await self._distil(memory, outcome.trajectory, succeeded, lessons)
        return memory

    async def _succeeded(self, outcome: Outcome, lessons: Lessons) -> bool | None:
        """None where the judge gave no usable answer."""
        if self._choices.signal == "return":
            return outcome.success
        question = _question(outcome.trajectory, WORDS["judge"], paid=False)
        verdict = await lessons.ask(Verdict, question, outcome.trajectory.id, tokens=512)
        return None if verdict is None else verdict.success

    async def _distil(
        self, memory: ReasoningBank, trajectory: Trajectory, succeeded: bool, lessons: Lessons
    ) -> ReasoningBank:
        request = WORDS["success" if succeeded else "failure"].format(most=self._choices.items) + WORDS["form"]
        question = _question(trajectory, request, paid=self._choices.signal == "return")
        answer = await lessons.ask(
            Distillation, question, trajectory.id, temperature=self._choices.temperature, tokens=2048
        )
        items = [] if answer is None else answer.items
        for item in items[self._choices.items :]:
            lessons.skip(f"more than {self._choices.items} items of one episode: {item.title}", trajectory.id)
        for item in items[: self._choices.items]:
            memory = _keep(memory, item, trajectory, lessons)
        return memory


def _keep(memory: ReasoningBank, item: Item, trajectory: Trajectory, lessons: Lessons) -> ReasoningBank:
    """With the item; one that was written before, of a game that began alike, gains this episode as evidence."""
    text = WORDS["item"].format(**item.model_dump())
    fresh = Unit(kind="item", key=opening(trajectory), text=text, name=item.title)
    old = next((unit for unit in memory.units if unit.id == fresh.id), fresh)
    trajectories = dict.fromkeys([*old.trajectories, trajectory.id])
    seeds = dict.fromkeys([*old.env_seeds, trajectory.env_seed])
    unit = old.model_copy(update={"trajectories": tuple(trajectories), "env_seeds": tuple(seeds)})
    lessons.written(unit)
    return memory.holding([*(other for other in memory.units if other.id != unit.id), unit])


def _question(trajectory: Trajectory, request: str, *, paid: bool) -> tuple[Message, ...]:
    game = WORDS["game"].format(rules=trajectory.rules, course=course(trajectory, paid=paid))
    return Message("system", WORDS["task"]), Message("user", game + request)


def _make(means: Means, given: Mapping[str, Any]) -> ReasoningBankLearner:
    return ReasoningBankLearner(means, ReasoningBankChoices.read(given, ReasoningBank.label))


REASONING_BANK = MemoryKind(
    ReasoningBank, _make, "2509.25140; google-research/reasoning-bank ed80611, WebArena: 3 items, those of 1 task shown"
)
