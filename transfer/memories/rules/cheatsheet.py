"""Dynamic Cheatsheet (2504.07952; suzgunmirac/dynamic-cheatsheet 1cf258c): one sheet of entries, rewritten whole by a
curator that is told no outcome and judges for itself.

Cumulative: after each episode, one call makes the new sheet of the old one and the episode. Retrieval-synthesis: before
an episode, one call makes the sheet of the old one and the likest earlier episodes; as a frozen memory is read, what is
made before an evaluated game serves that game alone. What the curator leaves out is lost, as published.

Departures: an answer without a whole sheet changes nothing, where the code keeps what was cut off, or shows the raw
episodes; an entry's count of uses is shown to the curator alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, StringConstraints

from agents.embedding import Embedder
from agents.guide import Recalled, State
from agents.models.model import Message, Sampling
from agents.prompts import memory_text
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, opening
from transfer.memories.likeness import likeness
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory, recallable
from transfer.nppo.evolver import Unusable, structured

T = TypeVar("T")

TOKENS = 4096
"""Of a sheet at most (the code's limit for its curator)."""

WORDS = {
    "task": "You are the curator of a cheat sheet that players read before a game. You answer in JSON.",
    "rules": "The rules of the game:\n{rules}\n\n",
    "episode": (
        "A player, who had read the sheet, has just played:\n{course}\n\n{outcome}"
        "Judge yourself which moves were good. Then write the new sheet. "
    ),
    "synthesis": (
        "A player is about to play a game that begins so:\n{observation}\n\nThe likest earlier games:\n\n"
        "{games}\n\nJudge yourself which moves were good in them. Then write the new sheet, for the game to come. "
    ),
    "success": "It counts as a success.\n\n",
    "failure": "It counts as a failure.\n\n",
    "form": (
        "The new sheet takes the place of the old one: what you leave out is lost. Keep what has proved its worth, "
        "make it more exact and more general, add what is new, say nothing twice.\n"
        "description: of an entry, what to do and when.\nexample: a short example of it, or an empty text.\n"
        "count: how often it has been of use so far.\n\nThe sheet so far:\n{sheet}"
    ),
    "line": "- {text} (count: {count})",
    "empty": "(empty)",
    "entry": "{description}\nExample: {example}",
}

Form = Literal["cumulative", "retrieval-synthesis"]


class CheatsheetChoices(MemoryChoices):
    form: Form = "cumulative"
    """When the sheet is made: after each episode of that episode, or before each of those that are likest."""
    k: int = Field(default=3, ge=1)
    """Earlier episodes that a synthesis sees."""
    signal: Literal["none", "return"] = "none"
    """Whether the curator is told what was paid and whether it counts as a success: not in the official code."""


class Entry(BaseModel):
    description: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
    example: Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)]
    count: Annotated[int, Field(ge=0, le=9999)]

    @property
    def text(self) -> str:
        return WORDS["entry"].format(**self.model_dump()) if self.example else self.description


class Sheet(BaseModel):
    entries: Annotated[list[Entry], Field(max_length=60)]


class Cheatsheet(UnitMemory):
    """The entries in the curator's order, always shown; with retrieval-synthesis the episodes after them."""

    label: ClassVar[str] = "cheatsheet"

    form: Form
    k: int
    counts: Mapping[str, int] = {}
    """Uses by entry, as the curator counts them."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        return _split(units).entries

    async def recall(self, seat: Seat, state: State) -> Recalled:
        """The sheet; with retrieval-synthesis one made for this game, where there are episodes to make it of.

        Raises ModelUnavailable and ModelMisconfigured as the model does; for another answer that is of no use, or
        has no room, the sheet stays as it is.
        """
        entries, episodes = _split(recallable(self.units, seat.env_seed))
        likest = _likest(seat.embedder, state.observation, episodes, self.k)
        if self.form == "cumulative" or not likest:
            return self.show(entries, seat, state)
        prompt = self.synthesis(state.rules, state.observation, entries, likest)
        sampling = Sampling(0.0, max_tokens=TOKENS, seed=int(seat.rng.integers(2**31)))
        try:
            sheet = await structured(seat.model, prompt, Sheet, sampling)
        except Unusable:
            return self.show(entries, seat, state)
        text = memory_text([entry.text for entry in sheet.entries])
        if not text or seat.model.count(text) > seat.room(state):
            return self.show(entries, seat, state)
        return Recalled(text, tuple(unit.id for unit in (*entries, *likest)), written=True)

    def synthesis(
        self, rules: str, observation: str, entries: Sequence[Unit], likest: Sequence[Unit]
    ) -> tuple[Message, ...]:
        """The question by which a sheet is made before a game."""
        games = "\n\n".join(unit.text for unit in likest)
        return self.question(rules, WORDS["synthesis"].format(observation=observation, games=games), entries)

    def question(self, rules: str, told: str, entries: Sequence[Unit]) -> tuple[Message, ...]:
        lines = [WORDS["line"].format(text=unit.text, count=self.counts.get(unit.id, 0)) for unit in entries]
        form = WORDS["form"].format(sheet="\n".join(lines) or WORDS["empty"])
        return Message("system", WORDS["task"]), Message("user", WORDS["rules"].format(rules=rules) + told + form)


class _Parts(NamedTuple):
    entries: list[Unit]
    episodes: list[Unit]


def _split(units: Iterable[Unit]) -> _Parts:
    parts = _Parts([], [])
    for unit in units:
        (parts.episodes if unit.kind == "episode" else parts.entries).append(unit)
    return parts


def _likest(embedder: Embedder, query: str, episodes: Sequence[Unit], k: int) -> list[Unit]:
    """The k episodes that began likest, the likest first; of equal ones the latest first."""
    alike = likeness(embedder, query, [unit.key for unit in episodes])
    order = sorted(range(len(episodes)), key=lambda index: (-alike[index], -index))
    return [episodes[index] for index in order[:k]]


class CheatsheetLearner(MemoryLearner[Cheatsheet]):
    """One call an episode, in the order in which they were played."""

    def __init__(self, means: Means, choices: CheatsheetChoices) -> None:
        super().__init__(means, Cheatsheet(form=choices.form, k=choices.k))
        self._told = choices.signal == "return"

    async def learn(self, memory: Cheatsheet, lessons: Lessons) -> Cheatsheet:
        for outcome in lessons.outcomes:
            if memory.form == "cumulative":
                memory = await self._curate(memory, outcome, lessons)
            else:
                memory = await self._synthesise(memory, outcome.trajectory, lessons)
        return memory

    async def _curate(self, memory: Cheatsheet, outcome: Outcome, lessons: Lessons) -> Cheatsheet:
        """The sheet after an episode."""
        trajectory, success = outcome
        told = WORDS["episode"].format(
            course=course(trajectory, paid=self._told),
            outcome=WORDS["success" if success else "failure"] if self._told else "",
        )
        question = memory.question(trajectory.rules, told, memory.units)
        sheet = await lessons.ask(Sheet, question, trajectory.id, tokens=TOKENS)
        return memory if sheet is None else _hold(memory, sheet, trajectory, lessons)

    async def _synthesise(self, memory: Cheatsheet, trajectory: Trajectory, lessons: Lessons) -> Cheatsheet:
        """The sheet before an episode, where there are earlier ones, and with the episode itself."""
        entries, episodes = _split(memory.units)
        likest = _likest(self._means.embedder, opening(trajectory), episodes, memory.k)
        if likest:
            question = memory.synthesis(trajectory.rules, opening(trajectory), entries, likest)
            sheet = await lessons.ask(Sheet, question, trajectory.id, tokens=TOKENS)
            if sheet is not None:
                memory = _hold(memory, sheet, trajectory, lessons)
        episode = Unit(
            kind="episode",
            key=opening(trajectory),
            text=course(trajectory, paid=self._told),
            trajectories=(trajectory.id,),
            env_seeds=(trajectory.env_seed,),
        )
        if any(unit.id == episode.id for unit in memory.units):
            return memory
        lessons.written(episode, text="")
        return memory.holding([*memory.units, episode])


def _hold(memory: Cheatsheet, sheet: Sheet, trajectory: Trajectory, lessons: Lessons) -> Cheatsheet:
    """The memory with the new sheet in place of the old one; an entry that says what it said stays the unit it was.

    A new entry may come from all that it replaced, and counts as made from their games, too.
    """
    entries, episodes = _split(memory.units)
    old = {unit.id: unit for unit in entries}
    written = [(Unit(kind="entry", text=entry.text), entry.count) for entry in sheet.entries]
    counts = {unit.id: count for unit, count in written}
    replaced = [unit for unit in entries if unit.id not in counts]
    made = {
        "parents": tuple(unit.id for unit in replaced),
        "trajectories": _united([*(unit.trajectories for unit in replaced), (trajectory.id,)]),
        "env_seeds": _united([*(unit.env_seeds for unit in replaced), (trajectory.env_seed,)]),
    }
    held = {unit.id: old.get(unit.id) or unit.model_copy(update=made) for unit, _ in written}
    for unit in held.values():
        if unit.id not in old:
            lessons.written(unit, value=float(counts[unit.id]))
        elif counts[unit.id] != memory.counts[unit.id]:
            lessons.written(unit, action="voted", value=float(counts[unit.id]))
    for unit in replaced:
        lessons.dropped(unit, "the curator left it out of the new sheet")
    return memory.model_copy(update={"units": (*held.values(), *episodes), "counts": counts})


def _united(groups: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(each for group in groups for each in group))


def _make(means: Means, given: Mapping[str, Any]) -> CheatsheetLearner:
    return CheatsheetLearner(means, CheatsheetChoices.read(given, Cheatsheet.label))


CHEATSHEET = MemoryKind(
    Cheatsheet, _make, "2504.07952; suzgunmirac/dynamic-cheatsheet 1cf258c: cumulative; as a choice retrieval-synthesis"
)
