"""Lessons: what every learner of a memory is given in one iteration, and the frame in which it learns from it."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel

from agents.embedding import Embedder
from agents.models.model import Message, Model, Sampling
from transfer.maintenance.credit import RunningMean, usable
from transfer.memory.events.contents import BaselineMoved, Written
from transfer.memory.events.course import Skipped
from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Segment, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.memory import Memory, Unit, UnitMemory
from transfer.memory.pool import SkillPool
from transfer.memory.state import MemoryState
from transfer.nppo.evolver import Unusable, record, structured

Answer = TypeVar("Answer", bound=BaseModel)
M = TypeVar("M", bound=UnitMemory)


@dataclass(frozen=True)
class Means:
    """What a memory's learner works with. Every writer of a study asks the same evolver."""

    actor: Model
    """Who acts, and so by whose tokenizer texts are measured."""
    evolver: Model
    embedder: Embedder
    seeds: np.random.SeedSequence


class Outcome(NamedTuple):
    """A finished episode, and whether it counts as a success: solved, or in a graded game better than R̄ so far."""

    trajectory: Trajectory
    success: bool


@dataclass
class Lessons:
    """One iteration: its episodes, older ones by id, further ones to be played; and what is said of all this."""

    iteration: int
    """From 1."""
    outcomes: Sequence[Outcome]
    means: Means
    recall: Recall
    _play: Play
    baselines: Mapping[str, float] = field(default_factory=dict[str, float])
    """R̄ by task, these episodes included."""
    events: list[Event] = field(default_factory=list[Event])
    extra: int = 0
    """Episodes played on request."""

    @property
    def successes(self) -> list[Trajectory]:
        return [outcome.trajectory for outcome in self.outcomes if outcome.success]

    @property
    def failures(self) -> list[Trajectory]:
        return [outcome.trajectory for outcome in self.outcomes if not outcome.success]

    def judge(self, trajectory: Trajectory) -> Outcome:
        """Graded games are judged by the task's running mean (statistics common to all memories)."""
        mean = self.baselines.get(trajectory.task, trajectory.total)
        return Outcome(trajectory, trajectory.solved or trajectory.total > mean + 1e-9)

    async def play(self, memory: Memory | None, env_seeds: Sequence[int]) -> list[Outcome]:
        """Further episodes of these games, charged to the learning budget; fewer where it is spent."""
        played = await self._play(memory, env_seeds)
        self.extra += len(played)
        return [self.judge(trajectory) for trajectory in played if usable(trajectory)]

    async def ask(
        self, kind: type[Answer], prompt: tuple[Message, ...], *keys: str, temperature: float = 0.0, tokens: int = 1024
    ) -> Answer | None:
        """The evolver's answer; None, and an event that says why, where it gives no usable one.

        `keys` name the question, so that its seed does not depend on what was asked before. Raises as
        `transfer.nppo.evolver.structured`.
        """
        try:
            return await structured(
                self.means.evolver, prompt, kind, Sampling(temperature, max_tokens=tokens, seed=self._seed(*keys))
            )
        except Unusable as error:
            self.skip(str(error), *keys)
            return None

    def rng(self, *keys: str) -> np.random.Generator:
        """The Generator of one named choice of this iteration."""
        return np.random.default_rng(self._seed(*keys))

    def _seed(self, *keys: str) -> int:
        name = zlib.crc32(" ".join((str(self.iteration), *keys)).encode())
        seeds = self.means.seeds
        sequence = np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, name))
        return int(np.random.default_rng(sequence).integers(2**31))

    def skip(self, why: str, *trajectories: str) -> None:
        self.events.append(Skipped(iteration=self.iteration, trajectories=trajectories, why=why))

    def written(self, unit: Unit, **said: Any) -> None:
        """`action` "written" unless said otherwise."""
        about: dict[str, Any] = {"skill": unit.id, "parents": unit.parents, "trajectories": unit.trajectories}
        happened: dict[str, Any] = {"action": "written", "of": unit.kind, "text": unit.text} | said
        self.events.append(Written(iteration=self.iteration, **about, **happened))

    def dropped(self, unit: Unit, why: str) -> None:
        self.events.append(Written(iteration=self.iteration, skill=unit.id, action="dropped", of=unit.kind, why=why))


class MemoryLearner(ABC, Generic[M]):
    """The frame that all learners of memories share: outcomes by one rule, what is unusable left out and said so."""

    def __init__(self, means: Means, empty: M) -> None:
        self._means = means
        self._empty = empty

    @abstractmethod
    async def learn(self, memory: M, lessons: Lessons) -> M:
        """The memory after these episodes; what it did goes into `lessons.events`."""

    def begin(self, pool: SkillPool) -> MemoryState:
        """Empty, whatever the seed pool is."""
        return MemoryState(memory=self._empty)

    async def iterate(
        self, state: MemoryState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[MemoryState, list[Event]]:
        """One iteration. Raises TypeError for the memory of another learner."""
        memory = state.memory
        if not isinstance(memory, type(self._empty)):
            raise TypeError(f"a learner of {self._empty.label} was given a memory of another kind")
        now = state.iteration + 1
        good = [trajectory for trajectory in fresh if usable(trajectory)]
        rule, baselines = RunningMean(), dict(state.baselines)
        for task in dict.fromkeys(trajectory.task for trajectory in good):
            baselines[task] = rule.update(baselines.get(task), [each.total for each in good if each.task == task])
        lessons = Lessons(now, (), self._means, recall, play, {task: each.mean for task, each in baselines.items()})
        lessons.outcomes = [lessons.judge(trajectory) for trajectory in good]
        for trajectory in fresh:
            if not usable(trajectory):
                lessons.skip("no steps or a non-finite reward", trajectory.id)
        moved = [
            BaselineMoved(iteration=now, task=task, mean=baselines[task].mean, n=baselines[task].n)
            for task in dict.fromkeys(trajectory.task for trajectory in good)
        ]
        learned = await self.learn(memory, lessons)
        returns = (*state.returns, fmean(each.total for each in good)) if good else state.returns
        after = MemoryState(learned, now, state.extra + lessons.extra, baselines, returns)
        return after, [*moved, *lessons.events]


def opening(trajectory: Trajectory) -> str:
    """By what an episode is found again: its first observation, or its rules where it has none."""
    return trajectory.steps[0].observation if trajectory.steps else trajectory.rules


def shown(trajectory: Trajectory) -> tuple[str, ...]:
    """Ids of the units that stood in its prompts, each once, in the order in which they came."""
    return tuple(dict.fromkeys(unit for step in trajectory.steps for unit in step.units))


def course(trajectory: Trajectory, *, paid: bool = True) -> str:
    """What was seen, done, paid and replied, for a writer: with its middle left out, and said so, where it is long.

    Not `paid`: for who must judge by what was seen alone.
    """
    return record([Segment(trajectory, "", 0, len(trajectory.steps))], paid=paid)


def whole(trajectory: Trajectory) -> str:
    """An episode word for word, as an example for a player: nothing is left out of it."""
    return "\n".join(_whole(trajectory))


def _whole(trajectory: Trajectory) -> Iterator[str]:
    yield f"An earlier game that scored {trajectory.total:.3g}:"
    for step in trajectory.steps:
        yield f"Seen: {step.observation}"
        yield f"Move: {step.action}"
    yield f"End: {trajectory.reason or 'the game is over.'}"


class MemoryKind(NamedTuple):
    """A memory of the field: its value, its learner and where it comes from."""

    value: type[UnitMemory]
    make: Callable[[Means, Mapping[str, Any]], MemoryLearner[Any]]
    """Raises ChoiceError."""
    source: str
    """The paper, and the official code whose defaults are ours."""
    own_only: bool | Callable[[Mapping[str, Any]], bool] = False
    """It plays games again, or validates, always or with some choices: experience that is shared does not do."""

    def needs_own(self, given: Mapping[str, Any]) -> bool:
        """Whether it does with these choices. Raises ChoiceError."""
        return self.own_only if isinstance(self.own_only, bool) else self.own_only(given)
