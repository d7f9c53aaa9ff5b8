"""A network of notes, as A-MEM keeps it: described by a model, linked to each other, found by their descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.guide import AtStart, EachStep, Guide, RecallUnits, State
from agents.models.model import Message, Sampling
from agents.skill import Words
from transfer.memories.likeness import nearest
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory
from transfer.nppo.evolver import Unusable, structured

TEMPERATURE = 0.7
ANSWER = 1000
"""Tokens of an answer at most; both as in the official code."""

READING = {
    "task": "You look for what a player has noted in earlier games. You answer in JSON.",
    "query": (
        "A player was told these rules:\n{rules}\n\nThe player now sees:\n{observation}\n\n"
        "Write a few keywords by which notes on games like this one can be found."
    ),
    "note": "{content}\nContext: {context}\nKeywords: {keywords}\nTags: {tags}",
    "key": "{context}\nKeywords: {keywords}\nTags: {tags}\n{opening}",
}

Word = Annotated[str, Field(min_length=1, max_length=60)]


class Query(BaseModel):
    """What a reader asks the acting model for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keywords: Annotated[list[Word], Field(min_length=1, max_length=10)]


class Note(BaseModel):
    """What happened, and what a model said about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Words
    opening: Words
    """What was seen first."""
    context: Words = ""
    keywords: tuple[Words, ...] = ()
    tags: tuple[Words, ...] = ()
    links: tuple[int, ...] = ()
    """Places of notes."""

    @property
    def text(self) -> str:
        """What a player is shown."""
        return self._filled("note", content=self.content)

    @property
    def key(self) -> str:
        """What is embedded. The descriptions come first: of a long text an embedder reads the beginning."""
        return self._filled("key", opening=self.opening)

    def described(self, context: str, tags: Sequence[str], links: Sequence[int] = ()) -> Note:
        """The same note, described anew; its links are these beside those it has."""
        described = {"context": context, "tags": tuple(tags), "links": tuple(dict.fromkeys([*self.links, *links]))}
        return Note.model_validate(self.model_dump() | described)

    def _filled(self, form: str, **parts: str) -> str:
        lists = {"keywords": ", ".join(self.keywords), "tags": ", ".join(self.tags)}
        return READING[form].format(context=self.context, **lists, **parts)


class AMem(UnitMemory):
    """Notes by likeness, each with those that it is linked to. The n-th unit holds the words of the n-th note."""

    label: ClassVar[str] = "a_mem"

    k: int
    at: Literal["start", "step"]
    query: Literal["keywords", "observation"]
    notes: tuple[Note, ...] = ()
    evolutions: int = 0
    """So far."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        places = range(len(self.units))
        if len(self.notes) != len(places) or any(link not in places for note in self.notes for link in note.links):
            raise ValueError("a note without a unit, a unit without a note, or a link to neither")
        return self

    def timed(self, recall: RecallUnits) -> Guide:
        return AtStart(recall) if self.at == "start" else EachStep(recall)

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        """The k likest, then at most k that they are linked to."""
        if not units:
            return []
        found = nearest(seat, await self._words_to_look_for(seat, state), units, self.k)
        places = {unit.id: place for place, unit in enumerate(self.units)}
        known = {unit.id for unit in units}
        linked = [self.units[link] for hit in found for link in self.notes[places[hit.id]].links]
        beside = {unit.id: unit for unit in linked if unit.id in known and unit not in found}
        return [*found, *list(beside.values())[: self.k]]

    async def _words_to_look_for(self, seat: Seat, state: State) -> str:
        """The model's keywords; what is seen where it writes none."""
        if self.query == "observation":
            return state.observation
        asked = READING["query"].format(rules=state.rules, observation=state.observation)
        prompt = (Message("system", READING["task"]), Message("user", asked))
        sampling = Sampling(TEMPERATURE, max_tokens=ANSWER, seed=int(seat.rng.integers(2**31)))
        try:
            return ", ".join((await structured(seat.model, prompt, Query, sampling)).keywords)
        except Unusable:
            return state.observation

    def with_note(self, note: Note, trajectory: Trajectory) -> Self:
        """With one more note."""
        unit = _evidenced(Unit(kind="note", text=note.text, key=note.key), trajectory)
        return self.model_copy(update={"units": (*self.units, unit), "notes": (*self.notes, note)})

    def with_evidence(self, place: int, trajectory: Trajectory) -> Self:
        """With one more episode in which the note's scene happened."""
        units = [_evidenced(unit, trajectory) if at == place else unit for at, unit in enumerate(self.units)]
        return self.model_copy(update={"units": tuple(units)})

    def with_notes_changed(self, notes: Sequence[Note], *, indexed: bool) -> Self:
        """With these notes in the places of its own, found by their new words where they are `indexed` anew."""
        units = [
            unit if (unit.text, unit.key) == (note.text, key) else _in_place_of(unit, note.text, key)
            for unit, note in zip(self.units, notes, strict=True)
            for key in [note.key if indexed else unit.key]
        ]
        return self.model_copy(update={"units": tuple(units), "notes": tuple(notes)})


def _in_place_of(unit: Unit, text: str, key: str) -> Unit:
    return Unit(kind="note", text=text, key=key, parents=(unit.id,)).with_evidence_of(unit)


def _evidenced(unit: Unit, trajectory: Trajectory) -> Unit:
    evidence = {"trajectories": (trajectory.id,), "env_seeds": (trajectory.env_seed,)}
    return unit.with_evidence_of(unit.model_copy(update=evidence))
