"""ExpeL (2308.10144; LeapLabTHU/ExpeL e41ec9a): rules drawn from comparing successes with failures, and the successes.

Games are gathered as Reflexion plays them, without what was learned so far. One call compares each success with each
failure at the same game, one looks at every chunk of successes of different games; each may change the list of rules by
votes. All rules are shown, and the successful episodes that began likest.

Departures: rules are drawn after every iteration, not once at the end; no hand-written examples stand beside the
episodes, so none is left out for being longer than these; nobody is told the true type of a task, so the search is not
confined to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from agents.guide import State
from agents.models.model import Message
from transfer.memories.choices import MemoryChoices
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner, Outcome, course, opening, whole
from transfer.memories.likeness import nearest
from transfer.memories.rules.reflexion import Reflexion, play_again
from transfer.memories.rules.votes import Operation, VotedRule, vote
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Seat, Unit, UnitMemory

WORDS = {
    "task": "You keep a list of general rules for players, and improve it by studying games. You answer in JSON.",
    "rules of the game": "The rules of the game:\n{rules}\n\n",
    "pair": "The same game was played twice. One player succeeded:\n{success}\n\nOne failed:\n{failure}\n\n",
    "successes": "Players succeeded at these games.\n\n{games}\n\n",
    "list": "\n\nThe list so far:\n{rules}",
    "empty": "(no rule yet)",
    "compare": "Find out by which moves they differ, and what a player should know to do as the first one did. ",
    "common": "Find out what they have in common, and what a player should know to do so again. ",
    "operations": (
        "Then change the list by at most 4 operations. A rule is general: it helps in other games of this kind, too. "
        "It is a sentence and ends with a full stop.\n"
        "AGREE: a rule of the list is right and important; text: that rule, word for word.\n"
        "REMOVE: a rule is wrong, or says what another one says; text: that rule, word for word.\n"
        "EDIT: a rule should be more general or more exact; number: of the rule; text: the rule in its new words.\n"
        "ADD: a rule that the list lacks; text: the new rule.\n"
        "number: of the rule in the list, 0 for ADD."
    ),
    "full": "\nThe list is full: before anything is added, remove what is wrong, or say two rules in one.",
}


class ExpelChoices(MemoryChoices):
    attempts: int = Field(default=4, ge=1)
    """At one game while gathering: 3 reflections. Further ones are taken off the learning budget."""
    rules: int = Field(default=10, ge=1)
    """From here on the model is asked to remove rules first; the list is not cut (10 for ALFWorld, else 20)."""
    chunk: int = Field(default=8, ge=1)
    """Successes of different games that are looked at together."""
    k: int = Field(default=2, ge=0)
    """Successful episodes shown."""
    while_gathering: bool = False
    """Whether what was learned so far is shown while episodes are gathered: not in the official code."""


class Critique(BaseModel):
    operations: Annotated[list[Operation], Field(max_length=8)]


class Expel(UnitMemory):
    """Rules by their votes, then the shortest success of each game."""

    label: ClassVar[str] = "expel"

    k: int
    while_gathering: bool = False
    votes: Mapping[str, int] = {}
    """By rule."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        if seat.env_seed is None and not self.while_gathering:
            return []
        rules = [unit for unit in units if unit.kind == "rule"]
        episodes = [unit for unit in units if unit.kind == "episode"]
        return [*rules, *nearest(seat, state.observation, episodes, self.k)]

    @property
    def rules(self) -> list[Unit]:
        return [unit for unit in self.units if unit.kind == "rule"]

    @property
    def episodes(self) -> list[Unit]:
        return [unit for unit in self.units if unit.kind == "episode"]


class ExpelLearner(MemoryLearner[Expel]):
    def __init__(self, means: Means, choices: ExpelChoices) -> None:
        super().__init__(means, Expel(k=choices.k, while_gathering=choices.while_gathering))
        self._choices = choices

    async def learn(self, memory: Expel, lessons: Lessons) -> Expel:
        plans = Reflexion(form="retry", keep=self._choices.attempts)
        gathered = await play_again(plans, lessons, self._choices.attempts)
        games = _by_game([*lessons.outcomes, *gathered.outcomes])
        for game in games:
            for success in game.successes:
                for failure in game.failures:
                    told = WORDS["pair"].format(success=course(success), failure=course(failure)) + WORDS["compare"]
                    memory = await self._criticise(memory, told, [success, failure], lessons)
        solved = [game.successes[0] for game in games if game.successes]
        order = lessons.rng("chunks").permutation(len(solved))
        for start in range(0, len(solved), self._choices.chunk):
            chunk = [solved[place] for place in order[start : start + self._choices.chunk]]
            told = WORDS["successes"].format(games="\n\n".join(map(course, chunk))) + WORDS["common"]
            memory = await self._criticise(memory, told, chunk, lessons)
        return _store([success for game in games for success in game.successes], memory, lessons)

    async def _criticise(self, memory: Expel, told: str, evidence: Sequence[Trajectory], lessons: Lessons) -> Expel:
        """The memory after what the evolver does to its rules in the light of these episodes."""
        before = memory.rules
        listed = "\n".join(f"{number}. {rule.text}" for number, rule in enumerate(before, 1)) or WORDS["empty"]
        question = (
            WORDS["rules of the game"].format(rules=evidence[0].rules)
            + told
            + WORDS["operations"]
            + (WORDS["full"] if len(before) >= self._choices.rules else "")
            + WORDS["list"].format(rules=listed)
        )
        prompt = Message("system", WORDS["task"]), Message("user", question)
        answer = await lessons.ask(Critique, prompt, *(trajectory.id for trajectory in evidence))
        if answer is None:
            return memory
        voted = [VotedRule(rule.text, memory.votes[rule.id], rule.id) for rule in before]
        return _hold(memory, vote(voted, answer.operations, self._choices.rules), evidence, lessons)


@dataclass(frozen=True)
class _Game:
    """All attempts at one game, in the order in which they were made."""

    successes: list[Trajectory] = field(default_factory=list[Trajectory])
    failures: list[Trajectory] = field(default_factory=list[Trajectory])


def _by_game(outcomes: Sequence[Outcome]) -> list[_Game]:
    games: dict[int, _Game] = {}
    for trajectory, success in outcomes:
        game = games.setdefault(trajectory.env_seed, _Game())
        (game.successes if success else game.failures).append(trajectory)
    return list(games.values())


def _hold(memory: Expel, voted: Sequence[VotedRule], evidence: Sequence[Trajectory], lessons: Lessons) -> Expel:
    """The memory with the rules as they were voted, and an event for each that changed."""
    old = {rule.id: rule for rule in memory.rules}
    held: list[Unit] = []
    votes: dict[str, int] = {}
    for text, count, origin in voted:
        rule = old.get(origin)
        if rule is None or rule.text != text:
            action = "written" if rule is None else "rewritten"
            rule = _rule(text, rule, evidence)
            lessons.written(rule, action=action, value=float(count))
        elif count != memory.votes[rule.id]:
            lessons.written(rule, action="voted", value=float(count))
        held.append(rule)
        votes[rule.id] = count
    origins = {rule.origin for rule in voted}
    for rule in old.values():
        if rule.id not in origins:
            lessons.dropped(rule, "no votes are left, or another rule says the same")
    return memory.model_copy(update={"units": (*held, *memory.episodes), "votes": votes})


def _rule(text: str, before: Unit | None, evidence: Sequence[Trajectory]) -> Unit:
    trajectories, seeds = [each.id for each in evidence], [each.env_seed for each in evidence]
    if before is not None:
        trajectories, seeds = [*before.trajectories, *trajectories], [*before.env_seeds, *seeds]
    return Unit(
        kind="rule",
        text=text,
        parents=() if before is None else (before.id,),
        trajectories=tuple(dict.fromkeys(trajectories)),
        env_seeds=tuple(dict.fromkeys(seeds)),
    )


def _store(successes: Sequence[Trajectory], memory: Expel, lessons: Lessons) -> Expel:
    """With these successes; of several at one game the shortest stays. The same words of two games are one unit."""
    before = memory.episodes
    shortest = {seed: unit for unit in before for seed in unit.env_seeds}
    for trajectory in successes:
        unit = Unit(kind="episode", text=whole(trajectory), key=opening(trajectory), trajectories=(trajectory.id,))
        other = shortest.get(trajectory.env_seed)
        if other is None or len(unit.text) < len(other.text):
            shortest[trajectory.env_seed] = next((held for held in shortest.values() if held.id == unit.id), unit)
    kept = {unit.id: unit for unit in shortest.values()}
    seeds = {id: tuple(seed for seed, unit in shortest.items() if unit.id == id) for id in kept}
    for unit in kept.values():
        if unit not in before:
            lessons.written(unit, text="")
    for unit in before:
        if unit.id not in kept:
            lessons.dropped(unit, "a shorter success at the same game is there")
    return memory.holding(
        [*memory.rules, *(unit.model_copy(update={"env_seeds": seeds[unit.id]}) for unit in kept.values())]
    )


def _make(means: Means, given: Mapping[str, Any]) -> ExpelLearner:
    return ExpelLearner(means, ExpelChoices.read(given, Expel.label))


def _plays_again(given: Mapping[str, Any]) -> bool:
    return ExpelChoices.read(given, Expel.label).attempts > 1


EXPEL = MemoryKind(
    Expel, _make, "2308.10144; LeapLabTHU/ExpeL e41ec9a: 4 attempts a game, rules by votes, 2 episodes", _plays_again
)
