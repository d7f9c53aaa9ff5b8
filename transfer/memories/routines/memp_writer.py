"""What Memp asks its evolver: workflows from episodes, what is wrong with one that failed, the key facts of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.models.model import Message
from transfer.memories.lessons import Lessons, course, opening
from transfer.memory.experience import Trajectory

Text = Annotated[str, Field(min_length=1, max_length=1200)]
Line = Annotated[str, Field(min_length=1, max_length=200)]
MOST = 40
"""Events of a game that are listed."""
WARMTH = 1.0
"""Temperature of every official call."""


class Workflow(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow: Text


class Happening(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    before: Line
    action: Line
    after: Line


class Happenings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    events: Annotated[list[Happening], Field(min_length=1, max_length=MOST)]


class Critical(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    events: Annotated[list[Annotated[int, Field(ge=1, le=MOST)]], Field(min_length=1, max_length=MOST)]


class Adjustment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    analysis: Annotated[str, Field(max_length=400)]
    workflow: Text


class KeyFacts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(min_length=1, max_length=8)]


WORDS = {
    "task": "You write down how games are played, so that the next one goes better. You answer in JSON.",
    "workflow": (
        "A player was told these rules:\n{rules}\n\nWhat happened:\n{course}\n\n"
        "Keep what decided the game, and write it as advice for similar games: one paragraph that says in plain words "
        "what to do and in which order."
    ),
    "happenings": (
        "A player was told these rules:\n{rules}\n\nWhat happened:\n{course}\n\n"
        "List each move as an event: what was known before it, the move, what was known after it."
    ),
    "critical": (
        "A player was told these rules:\n{rules}\n\nThe events of a game:\n{events}\n\n"
        "Which events mattered for the goal, and came out well? Give their numbers."
    ),
    "adjust": (
        "A player was told these rules:\n{rules}\n\nThe player was given this workflow, and failed:\n{workflow}\n\n"
        "What happened:\n{course}\n\n"
        "analysis: why the workflow did not lead to success here.\n"
        "workflow: the workflow mended, so that it is right and leads similar games to success."
    ),
    "facts": "What a player sees at the start of a game:\n{query}\n\nName the key facts in it, each in a few words.",
}


def ask(key: str, **parts: object) -> tuple[Message, ...]:
    return (Message("system", WORDS["task"]), Message("user", WORDS[key].format(**parts)))


@dataclass(frozen=True)
class WorkflowWriter:
    """None wherever the evolver gives nothing usable, with an event that says so."""

    build: Literal["direct", "round"]

    async def workflow(self, trajectory: Trajectory, lessons: Lessons) -> str | None:
        """An episode as advice (1 call), or as the moves that mattered (2 calls)."""
        told = {"rules": trajectory.rules, "course": course(trajectory)}
        if self.build == "direct":
            written = await lessons.ask(Workflow, ask("workflow", **told), trajectory.id, temperature=WARMTH)
            return None if written is None else written.workflow
        prompt = ask("happenings", **told)
        happened = await lessons.ask(Happenings, prompt, trajectory.id, temperature=WARMTH, tokens=4096)
        if happened is None:
            return None
        events = [f"{number}. {each.before} | {each.action} | {each.after}" for number, each in _count(happened.events)]
        prompt = ask("critical", rules=trajectory.rules, events="\n".join(events))
        picked = await lessons.ask(Critical, prompt, trajectory.id, temperature=WARMTH)
        if picked is None:
            return None
        moves = [each.action for number, each in _count(happened.events) if number in picked.events]
        if not moves:
            lessons.skip("none of the events that were picked exists", trajectory.id)
            return None
        return "\n".join(f"{number}. {move}" for number, move in enumerate(moves, 1))

    async def facts(self, trajectory: Trajectory, lessons: Lessons) -> str | None:
        """The key facts of its opening, one a line."""
        prompt = ask("facts", query=opening(trajectory))
        found = await lessons.ask(KeyFacts, prompt, trajectory.id, tokens=512)
        return None if found is None else "\n".join(found.facts)

    async def mend(self, workflow: str, trajectory: Trajectory, lessons: Lessons) -> str | None:
        """A workflow under which this episode failed, put right."""
        prompt = ask("adjust", rules=trajectory.rules, workflow=workflow, course=course(trajectory))
        mended = await lessons.ask(Adjustment, prompt, trajectory.id, temperature=WARMTH)
        return None if mended is None else mended.workflow


def _count(events: list[Happening]) -> enumerate[Happening]:
    return enumerate(events, 1)
