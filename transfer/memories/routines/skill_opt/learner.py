"""SkillOpt (2605.23904): a document trained like a weight. Official code: microsoft/SkillOpt at bdfdc30,
configs/_base_/default.yaml, skillopt/{engine/trainer,evaluation/gate}.py.

An iteration is an optimization step. Not followed: the seed document with the six recipes of ALFWorld, a hidden
reference that analysts may see, and the validation after training, for no learner knows which iteration is its last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import Any, ClassVar, Literal

from pydantic import Field

from agents.guide import State
from agents.skill import Words
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome
from transfer.memories.routines.skill_opt.analyst import Analyst, Group, Pair, Patch, Step, chunks
from transfer.memories.routines.skill_opt.document import Document, edit_budget
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory

BATCH = 40
"""Episodes of an official step, to which its 18 games of the gate and 20 of the slow update belong (ALFWorld)."""


class SkillOptChoices(MemoryChoices):
    document: Words = ""
    """What training begins with: empty, where the official one is written by hand."""
    minibatch: int = Field(default=8, ge=1)
    """Episodes that one analyst is shown."""
    edits: int = Field(default=4, ge=1)
    """At most, in the first step (learning_rate)."""
    least_edits: int = Field(default=2, ge=1)
    """At most, in the last step (min_learning_rate); on half a cosine between them."""
    epochs: int = Field(default=4, ge=1)
    steps: int = Field(default=1, ge=1)
    """Steps of an epoch: in ALFWorld 39 games in batches of 40."""
    games: int | None = Field(default=None, ge=1)
    """Games of the gate; unless given, to an iteration's episodes as 18 to 40. Each document plays them once, and they
    are taken off the learning budget."""
    metric: Literal["return", "solved"] = "return"
    """What the gate compares the mean of: the return, which also graded games have, or (published) what was solved."""
    slow: Literal["ungated", "gated", "off"] = "ungated"
    """Whether guidance of a whole epoch, from the second on, must pass the gate; with "off" there is none."""
    meta: bool = True
    """The optimizer remembers, from the second epoch on, how the document is best improved."""
    samples: int | None = Field(default=None, ge=1)
    """Games of an epoch that are played again with both its documents; unless given, to its last iteration's as 20 to
    40."""


class SkillOpt(UnitMemory):
    """One document: the best one so far for whoever is evaluated, the present one for whoever learns."""

    label: ClassVar[str] = "skill_opt"

    document: Document = Document()
    """Under training."""
    draft: Unit | None = None
    """The document under training as a unit; None while it is empty."""
    score: float | None = None
    """Of the document under training on the gate's games; None before it has played them."""
    best: float | None = None
    """Score of `units`."""
    games: tuple[int, ...] = ()
    """Environment seeds of the gate's games."""
    steps: tuple[Step, ...] = ()
    """Of this epoch."""
    previous: Document = Document()
    """At the end of the last epoch."""
    advice: str = ""
    """The meta-skill, for the optimizer alone."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        if seat.env_seed is not None:
            return units
        return [] if self.draft is None else [self.draft]

    def trained(self, document: Document, episodes: Sequence[Trajectory] = ()) -> SkillOpt:
        """The same memory with another document under training, made from it and from these episodes."""
        if not document.text.strip():
            return self.model_copy(update={"document": document, "draft": None})
        games = (*(() if self.draft is None else self.draft.env_seeds), *(each.env_seed for each in episodes))
        draft = Unit(
            kind="document",
            text=document.text,
            parents=() if self.draft is None else (self.draft.id,),
            trajectories=tuple(each.id for each in episodes),
            env_seeds=tuple(dict.fromkeys(games)),
        )
        return self.model_copy(update={"document": document, "draft": draft})


class SkillOptLearner(MemoryLearner[SkillOpt]):
    def __init__(self, means: Means, choices: SkillOptChoices) -> None:
        empty = SkillOpt().trained(Document(body=choices.document))
        super().__init__(means, empty.holding([] if empty.draft is None else [empty.draft]))
        self._choices = choices

    async def learn(self, memory: SkillOpt, lessons: Lessons) -> SkillOpt:
        if not lessons.outcomes:
            return memory
        memory = await self._step(memory, lessons)
        epoch, rest = divmod(lessons.iteration, self._choices.steps)
        if rest:
            return memory
        if epoch > 1 and (self._choices.slow != "off" or self._choices.meta):
            memory = await self._look_back(memory, lessons)
        return memory.model_copy(update={"steps": (), "previous": memory.document})

    async def _step(self, memory: SkillOpt, lessons: Lessons) -> SkillOpt:
        """Reflect, aggregate, select, update, evaluate: one edit of the document, kept if the gate's games say so."""
        choices, total = self._choices, self._choices.epochs * self._choices.steps
        budget = edit_budget(lessons.iteration - 1, total, choices.edits, choices.least_edits)
        analyst = Analyst(lessons, memory.document, memory.advice, memory.steps)
        failed = await self._patches(analyst, "failed", lessons.failures, budget)
        solved = await self._patches(analyst, "solved", lessons.successes, budget)
        if not failed and not solved:
            return memory
        groups = [await analyst.merge([patch.edits for patch in patches]) for patches in (failed, solved)]
        edits = await analyst.rank(await analyst.join(*groups), budget)
        candidate = memory.document.edited(edits)
        played = [outcome.trajectory for outcome in lessons.outcomes]
        after, score = await self._gate(memory, candidate, played, lessons)
        accepted = after.document != memory.document
        step = Step(
            number=lessons.iteration,
            accepted=accepted,
            failed=len(lessons.failures),
            of=len(lessons.outcomes),
            patterns=tuple(patch.pattern for patch in failed if patch.pattern),
            before=after.score,
            after=score,
            edits=() if accepted else tuple(edits),
        )
        return after.model_copy(update={"steps": (*memory.steps, step)})

    async def _patches(
        self, analyst: Analyst, group: Group, episodes: Sequence[Trajectory], budget: int
    ) -> list[Patch]:
        order = analyst.lessons.rng("minibatches", group).permutation(len(episodes))
        batches = chunks([episodes[index] for index in order], self._choices.minibatch)
        found = [await analyst.patch(group, batch, budget) for batch in batches]
        return [patch for patch in found if patch is not None]

    async def _gate(
        self, memory: SkillOpt, candidate: Document, episodes: Sequence[Trajectory], lessons: Lessons
    ) -> tuple[SkillOpt, float | None]:
        """With the candidate under training if it scores strictly better than the document that is; and its score."""
        if candidate == memory.document:
            return memory, memory.score
        memory = await self._measured(memory, lessons)
        trial = memory.trained(candidate, episodes)
        score = None if memory.score is None else await self._score(trial, lessons)
        if score is None or memory.score is None:
            return memory, None
        if score > memory.score:
            return promoted(trial.model_copy(update={"score": score}), lessons), score
        if trial.draft is not None:
            lessons.dropped(trial.draft, f"rejected: {score:.3g} on the gate's games, not more than {memory.score:.3g}")
        return memory, score

    async def _measured(self, memory: SkillOpt, lessons: Lessons) -> SkillOpt:
        """With the score of the document under training, which is the first to play the gate's games."""
        if memory.score is not None:
            return memory
        if not memory.games:
            count = self._choices.games or ceil(18 * len(lessons.outcomes) / BATCH)
            # Even, as all environment seeds of learning: a study evaluates on odd ones.
            drawn = 2 * lessons.rng("games of the gate").integers(2**30, size=count)
            memory = memory.model_copy(update={"games": tuple(int(seed) for seed in drawn)})
        score = await self._score(memory, lessons)
        return memory.model_copy(update={"score": score, "best": score})

    async def _score(self, memory: SkillOpt, lessons: Lessons) -> float | None:
        """Mean over the gate's games; None, and an event, where not all of them could be played."""
        played = await lessons.play(memory, memory.games)
        if len(played) < len(memory.games):
            lessons.skip(f"{len(played)} of the gate's {len(memory.games)} games were played: nothing is decided")
            return None
        return fmean(self._value(outcome) for outcome in played)

    def _value(self, outcome: Outcome) -> float:
        return outcome.trajectory.total if self._choices.metric == "return" else float(outcome.trajectory.solved)

    async def _look_back(self, memory: SkillOpt, lessons: Lessons) -> SkillOpt:
        """The slow update and the meta-skill: what the epoch has changed, seen at the same games."""
        before = memory.previous
        pairs = await self._pairs(memory, lessons)
        if not pairs:
            lessons.skip("no game was played with the documents of both epochs: no slow update")
            return memory
        analyst = Analyst(lessons, memory.document, memory.advice)
        after = memory
        if self._choices.slow != "off":
            guidance = await analyst.guidance(before, pairs)
            if guidance is not None:
                after = await self._slow(memory, guidance, [pair.after.trajectory for pair in pairs], lessons)
        advice = await analyst.meta(before, pairs) if self._choices.meta else None
        return after if advice is None else after.model_copy(update={"advice": advice})

    async def _slow(
        self, memory: SkillOpt, guidance: str, episodes: Sequence[Trajectory], lessons: Lessons
    ) -> SkillOpt:
        document = memory.document.model_copy(update={"guidance": guidance})
        if self._choices.slow == "gated":
            gated, _ = await self._gate(memory, document, episodes, lessons)
            return gated
        trained = memory.trained(document, episodes)
        if trained.draft is not None:
            lessons.written(trained.draft, action="rewritten", why="guidance of the epoch, without the gate")
        return trained

    async def _pairs(self, memory: SkillOpt, lessons: Lessons) -> list[Pair]:
        games = list(dict.fromkeys(outcome.trajectory.env_seed for outcome in lessons.outcomes))
        count = min(len(games), self._choices.samples or ceil(20 * len(lessons.outcomes) / BATCH))
        drawn = [games[index] for index in lessons.rng("slow update").permutation(len(games))[:count]]
        old = {
            outcome.trajectory.env_seed: outcome
            for outcome in await lessons.play(memory.trained(memory.previous), drawn)
        }
        new = {outcome.trajectory.env_seed: outcome for outcome in await lessons.play(memory, drawn)}
        return [Pair(old[seed], new[seed]) for seed in drawn if seed in old and seed in new]


def promoted(memory: SkillOpt, lessons: Lessons) -> SkillOpt:
    """The document under training was accepted; it is the best one, too, if no earlier one scored as much."""
    unit, score = memory.draft, memory.score
    if unit is not None:
        lessons.written(unit, action="rewritten" if unit.parents else "written", value=score)
    if score is None or (memory.best is not None and score <= memory.best):
        return memory
    return memory.holding([] if unit is None else [unit]).model_copy(update={"best": score})


def _make(means: Means, given: Mapping[str, Any]) -> SkillOptLearner:
    return SkillOptLearner(means, SkillOptChoices.read(given, SkillOpt.label))


SKILL_OPT = MemoryKind(
    SkillOpt, _make, "SkillOpt (2605.23904), microsoft/SkillOpt at bdfdc30: edits behind a gate of games", own_only=True
)
