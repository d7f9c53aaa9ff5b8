"""What SkillOpt asks its optimizer, the study's evolver: what games teach, merged and ranked; what an epoch has changed
(official: skillopt/gradient/{reflect,aggregate}.py, skillopt/optimizer/{clip,slow_update,meta_skill}.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from agents.models.model import Message
from transfer.memories.lessons import Lessons, Outcome, course
from transfer.memories.routines.skill_opt.document import Document, Edit
from transfer.memory.experience import Trajectory
from transfer.nppo.evolver import shortened

T = TypeVar("T")

MERGED = 8
"""Patches that one call merges (merge_batch_size)."""
COMPARED = 3000
"""Characters of each episode in a comparison, the middle left out and marked."""
TOKENS = 4096
"""Of an answer that is made of edits."""

Edits = Annotated[list[Edit], Field(max_length=12)]
Group = Literal["failed", "solved"]


class Patch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: Annotated[str, Field(max_length=300)]
    """What the games have in common."""
    edits: Edits


class Merged(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: Edits


class Ranking(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    selected: Annotated[list[Annotated[int, Field(ge=1, le=200)]], Field(min_length=1, max_length=12)]


class Guidance(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reasoning: Annotated[str, Field(max_length=600)]
    guidance: Annotated[str, Field(min_length=1, max_length=1500)]


class MetaSkill(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    advice: Annotated[str, Field(min_length=1, max_length=1500)]


class Pair(NamedTuple):
    """One game, played with the document of the last epoch and with the present one."""

    before: Outcome
    after: Outcome

    @property
    def change(self) -> str:
        return CHANGES[self.before.success, self.after.success]


CHANGES = {
    (True, False): "lost again",
    (False, False): "failed still",
    (False, True): "newly solved",
    (True, True): "solved still",
}
"""By success before and after; the worst first, in which order an optimizer is told of them."""

WORDS = {
    "task": "You improve a document that a player reads before each move of a game. You answer in JSON.",
    "document": "The document now:\n{document}\n\n",
    "empty": "(still empty)",
    "advice": "What earlier rounds taught about improving it:\n{advice}\n\n",
    "history": "Earlier steps of this round:\n{history}\n\n",
    "failed": (
        "Games that the player failed:\n{episodes}\n\nFind what goes wrong in several of them and what rule of play "
        "would have prevented it. The games to come will differ: write nothing that is true of one game alone.\n"
    ),
    "solved": (
        "Games that the player solved:\n{episodes}\n\nFind the way of playing that several of them share and that the "
        "document does not say yet. The games to come will differ: write nothing that is true of one game alone.\n"
    ),
    "patch": (
        "pattern: what recurs, in one sentence.\nedits: at most {budget} changes of the document, or none. op append "
        "adds content at the end; insert_after puts content behind the line with target; replace puts content in "
        "target's place; delete takes target out. target is copied from the document word for word."
    ),
    "merge": (
        "Changes were proposed independently:\n{patches}\n\nMake one list of them: join those that say the same, "
        "settle contradictions, and lose nothing that only one of them has.{priority}"
    ),
    "priority": " Where the two groups disagree, the first, which comes from failures, counts more.",
    "rank": "Proposed changes:\n{edits}\n\nselected: the numbers of the {budget} most important ones, the best first.",
    "compared": (
        "The document before this round:\n{before}\n\nThe document now:\n{after}\n\n"
        "The same games, played with both:\n{pairs}\n\n"
    ),
    "guidance": (
        "A part of the document is guidance that only you write. So far it says:\n{guidance}\n\n"
        "reasoning: whether that guidance has helped, what was lost again and what fails still, and why.\n"
        "guidance: the new text of that part: what the player must keep to, so that nothing is lost again."
    ),
    "meta": (
        "Advice for whoever improves the document so far:\n{advice}\n\n"
        "advice: that advice, rewritten: which kinds of change help here, which harm, and how to word them."
    ),
    "rejected": "  tried in vain (the score was {before:.3g}, with them {after:.3g}):",
}


class Step(BaseModel):
    """One optimization step, as later ones of the same epoch are told of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    accepted: bool
    failed: int
    of: int
    patterns: tuple[str, ...] = ()
    before: float | None = None
    after: float | None = None
    edits: tuple[Edit, ...] = ()
    """Those that the gate rejected."""

    @property
    def lines(self) -> Iterator[str]:
        verdict = "accepted" if self.accepted else "rejected"
        yield f"Step {self.number}: {verdict}; {self.failed} of {self.of} games failed"
        yield from (f"  {pattern}" for pattern in self.patterns)
        if self.edits and self.before is not None and self.after is not None:
            yield WORDS["rejected"].format(before=self.before, after=self.after)
            yield from (f"    {edit.line}" for edit in self.edits)


@dataclass(frozen=True)
class Analyst:
    """The optimizer at one step: what it looks at, and what it is reminded of. None or [] where it makes no sense."""

    lessons: Lessons
    document: Document
    advice: str = ""
    steps: tuple[Step, ...] = ()

    async def patch(self, group: Group, episodes: Sequence[Trajectory], budget: int) -> Patch | None:
        """What one minibatch of episodes of one kind teaches, in at most `budget` edits."""
        told = WORDS[group].format(episodes="\n\n".join(map(_episode, episodes)))
        history = "\n".join(line for step in self.steps for line in step.lines)
        context = self._context() + (WORDS["history"].format(history=history) if history else "")
        question = context + told + WORDS["patch"].format(budget=budget)
        found = await self.lessons.ask(Patch, _asked(question), *(each.id for each in episodes), tokens=TOKENS)
        return None if found is None else found.model_copy(update={"edits": found.edits[:budget]})

    async def merge(self, patches: Sequence[Sequence[Edit]]) -> Sequence[Edit]:
        """One list of edits, merged a few patches at a time."""
        while len(patches) > 1:
            patches = [await self._joined(chunk) for chunk in chunks(patches, MERGED)]
        return patches[0] if patches else []

    async def join(self, failed: Sequence[Edit], solved: Sequence[Edit]) -> Sequence[Edit]:
        """Both kinds' edits; failures count more."""
        if not failed or not solved:
            return failed or solved
        return await self._joined([failed, solved], WORDS["priority"])

    async def _joined(self, patches: Sequence[Sequence[Edit]], priority: str = "") -> Sequence[Edit]:
        every = [edit for patch in patches for edit in patch]
        if len(patches) == 1:
            return every
        listed = "\n".join(f"Group {number}:\n{_numbered(patch)}" for number, patch in enumerate(patches, 1))
        question = self._context() + WORDS["merge"].format(patches=listed, priority=priority)
        found = await self.lessons.ask(Merged, _asked(question), tokens=TOKENS)
        return every if found is None else found.edits

    async def rank(self, edits: Sequence[Edit], budget: int) -> Sequence[Edit]:
        """The most important edits; the first ones where the optimizer names none."""
        if len(edits) <= budget:
            return edits
        question = self._context() + WORDS["rank"].format(edits=_numbered(edits), budget=budget)
        found = await self.lessons.ask(Ranking, _asked(question))
        places = [] if found is None else [place for place in dict.fromkeys(found.selected) if place <= len(edits)]
        return [edits[place - 1] for place in places[:budget]] or edits[:budget]

    async def guidance(self, before: Document, pairs: Sequence[Pair]) -> str | None:
        """The slow update's text."""
        told = WORDS["guidance"].format(guidance=self.document.guidance or WORDS["empty"])
        found = await self.lessons.ask(Guidance, _asked(self._compared(before, pairs) + told), tokens=2048)
        return None if found is None else found.guidance

    async def meta(self, before: Document, pairs: Sequence[Pair]) -> str | None:
        """What is to be remembered of improving this document."""
        told = WORDS["meta"].format(advice=self.advice or WORDS["empty"])
        found = await self.lessons.ask(MetaSkill, _asked(self._compared(before, pairs) + told), tokens=2048)
        return None if found is None else found.advice

    def _context(self) -> str:
        advice = WORDS["advice"].format(advice=self.advice) if self.advice else ""
        return WORDS["document"].format(document=self.document.text or WORDS["empty"]) + advice

    def _compared(self, before: Document, pairs: Sequence[Pair]) -> str:
        texts = {"before": before.text or WORDS["empty"], "after": self.document.text or WORDS["empty"]}
        lines = "\n\n".join(_pair(pair) for change in CHANGES.values() for pair in pairs if pair.change == change)
        return WORDS["compared"].format(pairs=lines, **texts)


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _episode(trajectory: Trajectory) -> str:
    return f"Rules:\n{trajectory.rules}\n{course(trajectory)}\nIt ended with {trajectory.total:.3g} points."


def _pair(pair: Pair) -> str:
    (before, _), (after, _) = pair
    heading = f"Game {after.env_seed}, {pair.change}: {before.total:.3g} points before, {after.total:.3g} now"
    if pair.change == "solved still":
        return heading
    courses = [shortened(course(each), COMPARED) for each in (before, after)]
    return f"{heading}\nBefore:\n{courses[0]}\nNow:\n{courses[1]}"


def _numbered(edits: Sequence[Edit]) -> str:
    return "\n".join(f"{number}. {edit.line}" for number, edit in enumerate(edits, 1))


def _asked(question: str) -> tuple[Message, ...]:
    return Message("system", WORDS["task"]), Message("user", question)
