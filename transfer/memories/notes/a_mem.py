"""A-MEM (Xu et al. 2025, 2502.12110): each new note is described by a model, which then links it to its neighbours and
may describe those anew.

Official code: WujiangXu/A-mem 0c8039f, memory_layer.py, made for dialogues. A note is an episode here, or a step of
one; neighbours are named by a number of their own, where that code names ranks and a fork rewrites the wrong notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, course, opening, whole
from transfer.memories.likeness import likeness
from transfer.memories.notes.network import ANSWER, TEMPERATURE, AMem, Note, Word
from transfer.memory.experience import Segment, Trajectory
from transfer.nppo.evolver import record, shortened

NEIGHBOURS = 5

WRITING = {
    "task": "You keep the notes of a player, so that what matters is found again. You answer in JSON.",
    "analysis": (
        "The player was told these rules:\n{rules}\n\nThis happened:\n{course}\n\n"
        "Describe it for a note.\nkeywords: the words that tell it from other games, the most telling first.\n"
        "context: one sentence on what it was about and what it shows.\n"
        "tags: the kinds of situation that it belongs to."
    ),
    "evolution": (
        "A new note:\n{note}\n\nThe notes that are likest to it:\n{neighbours}\n\n"
        "should_evolve: whether the notes should be connected or described better, now that this one is there.\n"
        "actions: strengthen, to connect the new note to some of the others and to give it better tags; "
        "update_neighbor, to give some of the others a better context and better tags.\n"
        "connections: numbers of the notes to connect it to.\ntags: all tags of the new note from now on.\n"
        "neighbors: the notes that change, by number, each with its new context and all its tags."
    ),
    "step": "Seen: {seen}\nMove: {move}\nIt paid {paid:.3g}. Then: {reply}",
    "new": "{content}\nContext: {context}\nKeywords: {keywords}",
    "neighbour": "Note {number}:\n{content}\nContext: {context}\nKeywords: {keywords}\nTags: {tags}",
}

Words = Annotated[list[Word], Field(max_length=8)]
Sentence = Annotated[str, Field(max_length=300)]


class Analysis(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keywords: Annotated[list[Word], Field(min_length=1, max_length=8)]
    context: Annotated[str, Field(min_length=1, max_length=300)]
    tags: Words


class NeighborUpdate(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    context: Sentence
    tags: Words


class Evolution(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    should_evolve: bool
    actions: Annotated[list[Literal["strengthen", "update_neighbor"]], Field(max_length=2)]
    connections: Annotated[list[int], Field(max_length=NEIGHBOURS)]
    tags: Words
    neighbors: Annotated[list[NeighborUpdate], Field(max_length=NEIGHBOURS)]


class AMemChoices(MemoryChoices):
    note: Literal["episode", "step"] = "episode"
    """What a note holds; the official code's are the turns of a dialogue, to which steps are nearest."""
    recall: Literal["start", "step"] = "start"
    """Once an episode, or at each decision, as the paper looks up every question."""
    query: Literal["keywords", "observation"] = "keywords"
    """By keywords that the acting model writes (one call a recall), or by what is seen."""
    k: int = Field(default=10, ge=1)
    """Notes found, and as many at most that they are linked to."""
    evo_threshold: int = Field(default=1, ge=1)
    """After so many evolutions changed notes are found by their new words: at once; the official code waits for 100."""


class Scene(NamedTuple):
    """What a note is to be written about."""

    trajectory: Trajectory
    content: str
    """Word for word, as players will see it."""
    told: str
    """As a writer is told it."""
    opening: str


class AMemLearner(MemoryLearner[AMem]):
    """Two calls a note, one for the first; a scene that is known already only adds its evidence."""

    def __init__(self, means: Means, choices: AMemChoices) -> None:
        super().__init__(means, AMem(k=choices.k, at=choices.recall, query=choices.query))
        self._choices = choices

    async def learn(self, memory: AMem, lessons: Lessons) -> AMem:
        for trajectory, _ in sorted(lessons.outcomes, key=lambda outcome: outcome.trajectory.id):
            for scene in scenes(trajectory, self._choices.note):
                memory = await self._noted(memory, scene, lessons)
        return memory

    async def _noted(self, memory: AMem, scene: Scene, lessons: Lessons) -> AMem:
        known = next((place for place, note in enumerate(memory.notes) if note.content == scene.content), None)
        if known is not None:
            return memory.with_evidence(known, scene.trajectory)
        prompt = question("analysis", rules=scene.trajectory.rules, course=scene.told)
        analysis = await lessons.ask(Analysis, prompt, scene.trajectory.id, temperature=TEMPERATURE, tokens=ANSWER)
        if analysis is None:
            return memory
        note = Note(
            content=scene.content,
            opening=scene.opening,
            context=analysis.context,
            keywords=tuple(analysis.keywords),
            tags=tuple(analysis.tags),
        )
        memory, note = await self._evolved(memory, note, scene, lessons)
        memory = memory.with_note(note, scene.trajectory)
        lessons.written(memory.units[-1])
        if note.links:
            lessons.written(
                memory.units[-1], action="linked", text="", why=f"to {[memory.units[n].id for n in note.links]}"
            )
        return memory

    async def _evolved(self, memory: AMem, note: Note, scene: Scene, lessons: Lessons) -> tuple[AMem, Note]:
        """The other notes and the new one, after the model has seen the new one beside its neighbours."""
        near = neighbours(memory, note, lessons)
        if not near:
            return memory, note
        new = WRITING["new"].format(content=scene.told, context=note.context, keywords=", ".join(note.keywords))
        others = "\n\n".join(_described(place, memory.notes[place]) for place in near)
        prompt = question("evolution", note=new, neighbours=others)
        answer = await lessons.ask(Evolution, prompt, scene.trajectory.id, temperature=TEMPERATURE, tokens=ANSWER)
        if answer is None or not answer.should_evolve:
            return memory, note
        named = [*answer.connections, *(update.number for update in answer.neighbors)]
        if unknown := [number for number in named if number - 1 not in near]:
            lessons.skip(f"the evolver named {unknown}, which are no neighbours of the note", scene.trajectory.id)
        if "strengthen" in answer.actions:
            links = [number - 1 for number in dict.fromkeys(answer.connections) if number - 1 in near]
            note = note.described(note.context, answer.tags or note.tags, links)
        notes = list(memory.notes)
        if "update_neighbor" in answer.actions:
            for update in answer.neighbors:
                if (place := update.number - 1) in near:
                    notes[place] = notes[place].described(update.context, update.tags)
        return self._changed(memory, notes, lessons), note

    def _changed(self, memory: AMem, notes: Sequence[Note], lessons: Lessons) -> AMem:
        evolutions = memory.evolutions + 1
        indexed = evolutions % self._choices.evo_threshold == 0
        after = memory.with_notes_changed(notes, indexed=indexed).model_copy(update={"evolutions": evolutions})
        for before, unit in zip(memory.units, after.units, strict=True):
            if unit != before:
                lessons.written(unit, action="rewritten")
        return after


def scenes(trajectory: Trajectory, form: Literal["episode", "step"]) -> Iterator[Scene]:
    """The episode, or each of its steps with what came of it."""
    if form == "episode":
        yield Scene(trajectory, whole(trajectory), course(trajectory), opening(trajectory))
        return
    for place, step in enumerate(trajectory.steps):
        reply = trajectory.steps[place + 1].observation if place + 1 < len(trajectory.steps) else trajectory.reason
        content = WRITING["step"].format(seen=step.observation, move=step.action, paid=step.reward, reply=reply)
        yield Scene(trajectory, content, record([Segment(trajectory, "", place, place + 1)]), step.observation)


def neighbours(memory: AMem, note: Note, lessons: Lessons) -> list[int]:
    """Places of the notes likest to this one, the likest first; of equal ones the latest."""
    alike = likeness(lessons.means.embedder, note.key, [unit.key for unit in memory.units])
    return sorted(range(len(alike)), key=lambda place: (-alike[place], -place))[:NEIGHBOURS]


def question(name: str, **parts: str) -> tuple[Message, ...]:
    return (Message("system", WRITING["task"]), Message("user", WRITING[name].format(**parts)))


def _described(place: int, note: Note) -> str:
    """A neighbour for the writer: its description whole, of what happened the beginning and the end."""
    lists = {"keywords": ", ".join(note.keywords), "tags": ", ".join(note.tags)}
    content = shortened(note.content)
    return WRITING["neighbour"].format(number=place + 1, content=content, context=note.context, **lists)


def _make(means: Means, given: Mapping[str, Any]) -> AMemLearner:
    return AMemLearner(means, AMemChoices.read(given, AMem.label))


A_MEM = MemoryKind(
    AMem, _make, "2502.12110; WujiangXu/A-mem 0c8039f: two calls a note, k = 10 and what they are linked to"
)
