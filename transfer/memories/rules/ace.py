"""ACE's playbook (2510.04618; ace-agent/ace ba78d34): bullets in sections, each with counts of how often it helped or
harmed. After each episode a reflector tags the bullets that were shown and says what is to be learned, after a failure
up to three times, with another attempt at the game in between; then a curator adds bullets. Nothing is changed or
removed.

Departures: a player cannot cite bullets where only moves are well formed, so those in its prompt count as used; the
token budget, of which the code only tells its curator, is kept. Merging bullets by likeness (off in the code) is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, shown
from transfer.memories.rules.playbook import Playbook, Section
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Unit

WORDS = {
    "none": "(none)",
    "reflector": "You study a player's game to find out what is to be learned from it. You answer in JSON.",
    "reflect": (
        "The rules of the game:\n{rules}\n\nWhat happened:\n{course}\n\nIt ended with {total:.3g} points: "
        "{outcome}.\n\nThe player had read these bullets of its playbook:\n{bullets}\n\n"
        "reasoning: your thoughts, in a few sentences.\nerror: what exactly went wrong, or an empty text.\n"
        "cause: why it went wrong, or an empty text.\napproach: what the player should do.\n"
        "insight: the principle to be remembered.\n"
        "tags: for each bullet its number, and whether it was helpful, harmful or neutral in this game."
    ),
    "success": "a success",
    "failure": "a failure",
    "curator": "You are the curator of a playbook that players read before a game. You answer in JSON.",
    "curate": (
        "The playbook so far:\n{playbook}\n\nIt takes {tokens} of {budget} tokens.\n\nThe rules of the game just "
        "played:\n{rules}\n\nWhat was found out about that game:\n{reflection}\n\n"
        "Say which bullets the playbook lacks. Add only what is new: no bullet that says what another one says, none "
        "at all where nothing is missing. A bullet is one piece of advice, exact enough to be followed in other games "
        "of this kind.\nreasoning: your thoughts, in a few sentences.\nsection: where a bullet belongs.\n"
        "content: the bullet's words."
    ),
    "reflection": "Error: {error}\nCause: {cause}\nWhat to do: {approach}\nInsight: {insight}",
}


class PlaybookChoices(MemoryChoices):
    rounds: int = Field(default=3, ge=1)
    """Reflections after a failure at most; before each further one the game is played again."""
    budget: int = Field(default=80_000, ge=1)
    """Tokens of the whole playbook, by the player's tokenizer; a bullet that would exceed them is refused whole."""


def _text(longest: int, least: int = 0) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=least, max_length=longest)


class Tag(BaseModel):
    number: Annotated[int, Field(ge=1, le=999)]
    tag: Literal["helpful", "harmful", "neutral"]


class Diagnosis(BaseModel):
    reasoning: Annotated[str, _text(800)]
    error: Annotated[str, _text(300)]
    cause: Annotated[str, _text(300)]
    approach: Annotated[str, _text(400)]
    insight: Annotated[str, _text(400, 1)]
    tags: Annotated[list[Tag], Field(max_length=100)]

    @property
    def text(self) -> str:
        return WORDS["reflection"].format(**self.model_dump())


class Addition(BaseModel):
    section: Section
    content: Annotated[str, _text(500, 1)]


class Curation(BaseModel):
    reasoning: Annotated[str, _text(800)]
    additions: Annotated[list[Addition], Field(max_length=10)]


class PlaybookLearner(MemoryLearner[Playbook]):
    """Episode by episode, in the order in which they were played."""

    def __init__(self, means: Means, choices: PlaybookChoices) -> None:
        super().__init__(means, Playbook())
        self._rounds = choices.rounds
        self._budget = choices.budget

    async def learn(self, memory: Playbook, lessons: Lessons) -> Playbook:
        for outcome in lessons.outcomes:
            memory = await self._study(memory, outcome, lessons)
        return memory

    async def _study(self, memory: Playbook, outcome: Outcome, lessons: Lessons) -> Playbook:
        """Reflect, after failures play again with the reflection, and curate by the last one."""
        attempts, diagnosis = [outcome.trajectory], None
        for round in range(1, self._rounds + 1):
            latest = await _reflect(memory, outcome, lessons)
            if latest is None:
                break
            diagnosis = latest
            memory = _tag(memory, outcome.trajectory, diagnosis.tags, lessons)
            if outcome.success or round == self._rounds:
                break
            note = Unit(kind="reflection", name="reflection", text=diagnosis.text)
            played = await lessons.play(memory.holding([*memory.units, note]), [outcome.trajectory.env_seed])
            if not played:
                break
            outcome = played[0]
            attempts.append(outcome.trajectory)
            if outcome.success:
                break
        return memory if diagnosis is None else await self._curate(memory, diagnosis, attempts, lessons)

    async def _curate(
        self, memory: Playbook, diagnosis: Diagnosis, attempts: Sequence[Trajectory], lessons: Lessons
    ) -> Playbook:
        """The playbook with what the curator adds to it."""
        question = WORDS["curate"].format(
            playbook=memory.words(memory.units) or WORDS["none"],
            tokens=self._tokens(memory),
            budget=self._budget,
            rules=attempts[0].rules,
            reflection=diagnosis.text,
        )
        ids = tuple(trajectory.id for trajectory in attempts)
        answer = await lessons.ask(Curation, _prompt("curator", question), *ids, tokens=4096)
        for addition in [] if answer is None else answer.additions:
            bullet = Unit(
                kind="bullet",
                name=addition.section,
                text=addition.content,
                trajectories=ids,
                env_seeds=(attempts[0].env_seed,),
            )
            longer = memory.holding([*memory.units, bullet])
            if any(unit.id == bullet.id for unit in memory.units):
                lessons.skip(f"the playbook says already: {bullet.text}", *ids)
            elif self._tokens(longer) > self._budget:
                lessons.skip(f"no room in the {self._budget} tokens of the playbook for: {bullet.text}", *ids)
            else:
                lessons.written(bullet)
                memory = longer
        return memory

    def _tokens(self, memory: Playbook) -> int:
        return self._means.actor.count(memory.words(memory.units))


async def _reflect(memory: Playbook, outcome: Outcome, lessons: Lessons) -> Diagnosis | None:
    trajectory, success = outcome
    used = _used(memory, trajectory)
    question = WORDS["reflect"].format(
        rules=trajectory.rules,
        course=course(trajectory),
        total=trajectory.total,
        outcome=WORDS["success" if success else "failure"],
        bullets="\n".join(f"{number}. {unit.text}" for number, unit in enumerate(used, 1)) or WORDS["none"],
    )
    return await lessons.ask(Diagnosis, _prompt("reflector", question), trajectory.id, tokens=4096)


def _used(memory: Playbook, trajectory: Trajectory) -> list[Unit]:
    """The bullets that stood in the prompts of this episode."""
    ids = set(shown(trajectory))
    return [unit for unit in memory.units if unit.id in ids]


def _tag(memory: Playbook, trajectory: Trajectory, tags: Sequence[Tag], lessons: Lessons) -> Playbook:
    """The counts after this episode; of several tags of one bullet the last one counts."""
    used = _used(memory, trajectory)
    said = {used[tag.number - 1].id: tag.tag for tag in tags if tag.number <= len(used)}
    counts: dict[str, dict[str, int]] = {"helpful": dict(memory.helpful), "harmful": dict(memory.harmful)}
    for id, word in said.items():
        if word != "neutral":
            counts[word][id] = counts[word].get(id, 0) + 1
    after = memory.model_copy(update=counts)
    for unit in used:
        if said.get(unit.id, "neutral") != "neutral":
            lessons.written(unit, action="voted", value=float(after.worth(unit)))
    return after


def _prompt(role: str, question: str) -> tuple[Message, ...]:
    return Message("system", WORDS[role]), Message("user", question)


def _make(means: Means, given: Mapping[str, Any]) -> PlaybookLearner:
    return PlaybookLearner(means, PlaybookChoices.read(given, Playbook.label))


def _plays_again(given: Mapping[str, Any]) -> bool:
    return PlaybookChoices.read(given, Playbook.label).rounds > 1


PLAYBOOK = MemoryKind(
    Playbook,
    _make,
    "ACE 2510.04618; ace-agent/ace ba78d34: 3 rounds, a curator that only adds, 80,000 tokens",
    _plays_again,
)
