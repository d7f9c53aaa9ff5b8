"""MemRL (2601.03192): which experience to recall is learned from what it led to. Official code: MemTensor/MemRL at
7c3beba, memrl/service/{memory_service,value_driven,updater}.py, configs/rl_alf_config.yaml.

Not followed: ten passes over the same games, in which a game meets its own past; two equal tasks of a batch, of which
the second overwrites the first; ids shifted by a failed write. ε and γ are 0 there, so neither is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from agents.guide import State
from agents.models.model import Message
from agents.prompts import memory_text
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, opening, shown, whole
from transfer.memories.likeness import likeness
from transfer.memory.memory import Seat, Unit, UnitMemory, inherited

REWARDS = {True: 1.0, False: -1.0}
"""r of an episode that was solved, or not."""
CLIP = 3.0
"""Most standard deviations by which a utility counts."""


class MemRLChoices(MemoryChoices):
    intents: int = Field(default=5, ge=1)
    """Tasks whose experiences are candidates: the likest ones (k_retrieve)."""
    k: int = Field(default=3, ge=1)
    """Experiences shown (topk)."""
    threshold: float = Field(default=0.5, ge=-1.0, le=1.0)
    """Least cosine of a task with the present one (sim_threshold; the config's `tau` is never used)."""
    weight: float = Field(default=0.5, ge=0.0, le=1.0)
    """Of the utility in the score; the rest is likeness's."""
    spread: float = Field(default=0.1203, gt=0.0)
    """Standard deviation by which likeness is divided: measured with text-embedding-3-large, so another embedder needs
    its own. (The mean that the code also takes off changes no order.)"""
    alpha: float = Field(default=0.3, gt=0.0, le=1.0)
    """Learning rate of Q."""
    start: float = 0.0
    """Q of an experience that was never shown."""
    least: float = -10.0
    """Below this Q an experience is not recalled; the default never happens."""
    same: float = Field(default=0.9, ge=-1.0, le=1.0)
    """Cosine from which on two tasks are one, whose experiences stand together."""


class Script(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=5)]


class Reflection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reflection: Annotated[str, Field(min_length=1, max_length=800)]


WORDS = {
    "task": "You study how games were played. You answer in JSON.",
    "script": (
        "A player was told these rules:\n{rules}\n\nWhat happened, to a good end:\n{course}\n\n"
        "steps: the way it was done, in three to five steps that would also serve in similar games: the decisions, not "
        "every single move."
    ),
    "reflection": (
        "A player was told these rules:\n{rules}\n\nWhat happened, to a bad end:\n{course}\n\n"
        "reflection: which decision led astray, why, and what to do instead in similar games."
    ),
    "worked": "What worked in similar games:",
    "failed": "What failed in similar games:",
    "experience": "{lesson}\n{episode}",
}


class MemRL(UnitMemory):
    """Experiences by likeness of their task and by their utility Q, the mean of what followed when they were shown."""

    label: ClassVar[str] = "mem_rl"

    choices: MemRLChoices
    utilities: Mapping[str, float] = {}
    """Q by unit."""

    def utility(self, unit: Unit) -> float:
        return self.utilities.get(unit.id, self.choices.start)

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        alike = self._intents(seat, state.observation, units)
        candidates = [unit for unit in units if unit.key in alike]
        if not candidates:
            return []
        scaled = standardized([self.utility(unit) for unit in candidates])
        weight, spread = self.choices.weight, self.choices.spread
        ranked = [
            (-(1 - weight) * alike[unit.key] / spread - weight * scaled[place], -place, unit)
            for place, unit in enumerate(candidates)
            if self.utility(unit) >= self.choices.least
        ]
        return [unit for _, _, unit in sorted(ranked, key=lambda each: each[:2])[: self.choices.k]]

    def _intents(self, seat: Seat, query: str, units: Sequence[Unit]) -> dict[str, float]:
        """The likest tasks that are like enough, with their cosine; among equal ones the latest first."""
        keys = list(dict.fromkeys(unit.key for unit in reversed(units)))
        alike = sorted(zip(keys, likeness(seat.embedder, query, keys), strict=True), key=lambda each: -each[1])
        return {key: float(cosine) for key, cosine in alike[: self.choices.intents] if cosine >= self.choices.threshold}

    def holding(self, units: Iterable[Unit]) -> Self:
        held = tuple(units)
        return self.model_copy(update={"units": held, "utilities": inherited(self.utilities, held)})

    def words(self, units: Sequence[Unit]) -> str:
        worked = [unit.text for unit in units if unit.kind == "script"]
        failed = [unit.text for unit in units if unit.kind != "script"]
        return memory_text(
            [
                *([WORDS["worked"], *worked] if worked else []),
                *([WORDS["failed"], *failed] if failed else []),
            ]
        )


def standardized(values: Sequence[float]) -> list[float]:
    """z over these values, clipped; all 0 where they are equal."""
    spread = float(np.std(values))
    z = (np.array(values) - np.mean(values)) / (spread if spread > 1e-9 else 1.0)
    return [float(each) for each in np.round(np.clip(z, -CLIP, CLIP), 9)]


class MemRLLearner(MemoryLearner[MemRL]):
    """First what was shown is valued, then every episode is written down."""

    def __init__(self, means: Means, choices: MemRLChoices) -> None:
        super().__init__(means, MemRL(choices=choices))

    async def learn(self, memory: MemRL, lessons: Lessons) -> MemRL:
        memory = value(memory, lessons)
        for outcome in lessons.outcomes:
            unit = await self._experience(memory, outcome, lessons)
            if unit is not None and unit.id not in {known.id for known in memory.units}:
                lessons.written(unit)
                memory = memory.model_copy(update={"units": (*memory.units, unit)})
        return memory

    async def _experience(self, memory: MemRL, outcome: Outcome, lessons: Lessons) -> Unit | None:
        trajectory = outcome.trajectory
        lesson = await (script if outcome.success else reflection)(outcome, lessons)
        if lesson is None:
            return None
        return Unit(
            kind="script" if outcome.success else "reflection",
            key=intent(memory, opening(trajectory), lessons),
            text=WORDS["experience"].format(lesson=lesson, episode=whole(trajectory)),
            trajectories=(trajectory.id,),
            env_seeds=(trajectory.env_seed,),
        )


def value(memory: MemRL, lessons: Lessons) -> MemRL:
    """Q ← (1 − α) Q + α r for every unit that an episode was shown."""
    known, alpha = {unit.id: unit for unit in memory.units}, memory.choices.alpha
    utilities = dict(memory.utilities)
    for trajectory, success in lessons.outcomes:
        for unit in shown(trajectory):
            if unit in known:
                before = utilities.get(unit, memory.choices.start)
                utilities[unit] = (1 - alpha) * before + alpha * REWARDS[success]
                lessons.written(known[unit], action="voted", text="", value=utilities[unit])
    return memory.model_copy(update={"utilities": utilities})


def intent(memory: MemRL, task: str, lessons: Lessons) -> str:
    """The task that is known already and the same, the likest one; otherwise this one."""
    keys = list(dict.fromkeys(unit.key for unit in memory.units))
    alike = likeness(lessons.means.embedder, task, keys)
    if not keys or alike.max() < memory.choices.same:
        return task
    return keys[int(np.argmax(alike))]


async def script(outcome: Outcome, lessons: Lessons) -> str | None:
    trajectory = outcome.trajectory
    found = await lessons.ask(Script, ask("script", rules=trajectory.rules, course=course(trajectory)), trajectory.id)
    return None if found is None else "\n".join(f"{number}. {step}" for number, step in enumerate(found.steps, 1))


async def reflection(outcome: Outcome, lessons: Lessons) -> str | None:
    trajectory = outcome.trajectory
    prompt = ask("reflection", rules=trajectory.rules, course=course(trajectory))
    found = await lessons.ask(Reflection, prompt, trajectory.id, temperature=0.3)
    return None if found is None else found.reflection


def ask(key: str, **parts: object) -> tuple[Message, ...]:
    return (Message("system", WORDS["task"]), Message("user", WORDS[key].format(**parts)))


def _make(means: Means, given: Mapping[str, Any]) -> MemRLLearner:
    return MemRLLearner(means, MemRLChoices.read(given, MemRL.label))


MEM_RL = MemoryKind(
    MemRL, _make, "MemRL (2601.03192), MemTensor/MemRL at 7c3beba: 3 experiences of 5 tasks, α = .3", own_only=True
)
