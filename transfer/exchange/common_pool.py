"""`CommonPoolExchange`: what everyone has learned goes into one pool that everyone plays with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.skill import Skill
from transfer.exchange.admission import Admission, admission_case
from transfer.exchange.population import Gift, MemberEvent, Population, RoundOutcome, refusing
from transfer.exchange.shared_pool import PoolChange, SharedPool, WriteOutcome
from transfer.gate.gate import Outcome, Verdict
from transfer.maintenance.intake import Intake
from transfer.memory.events.contents import Admitted, Given, Pruned
from transfer.memory.events.course import Skipped
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Judged
from transfer.memory.events.line import SkillTexts
from transfer.memory.state import LearnerState, Score

COMMONS = "commons"
"""In events: the shared pool itself, where a member's name stands otherwise."""


@dataclass(frozen=True)
class CommonPoolExchange:
    """All members share one pool. What each has learned in a round is written in turn; nobody is always first.

    Under a gate, `panel` other members judge a newcomer on their own trajectories, and most of those that can decide
    must accept it; until somebody can, its author keeps it in quarantine for at most `patience` rounds.
    """

    admission: Admission
    intake: Intake
    panel: int = 3
    patience: int = 2

    async def exchange(
        self, base: Population, population: Population, played: RoundOutcome
    ) -> tuple[Population, list[MemberEvent]]:
        names = list(population.playing)
        if not names:
            return population, []
        first = played.round % len(names)
        turns = [*names[first:], *names[:first]]
        first_state = base.members[names[0]].state.model_copy(update={"iteration": played.round})
        pooled = _pooled(first_state, (member.state for member in population.playing.values()))
        commons = SharedPool(pooled, self.intake, round=played.round, version=population.version)
        population, events, changes = await self._judged(base, population, played, turns)
        for change in changes:
            events += _told(commons.write(change), played.round)
        version, state = commons.read()
        members = {
            name: member.model_copy(update={"state": member.state.hold(state.pool, played.round)})
            for name, member in population.playing.items()
        }
        return population.replace(members).model_copy(update={"version": version}), events

    async def _judged(
        self, base: Population, population: Population, played: RoundOutcome, turns: list[str]
    ) -> tuple[Population, list[MemberEvent], list[PoolChange]]:
        """Each writer's change with what the panel lets through, the rest refused or in its quarantine."""
        wanted: list[tuple[str, Gift]] = []
        changes: dict[str, PoolChange] = {}
        for name in turns:
            member = population.members[name]
            changes[name] = PoolChange.between(name, base.members[name].state.pool, member.state.pool)
            fresh = [Gift(giver=name, skill=skill, since=played.round) for skill in changes[name].added]
            known = {gift.skill.id for gift in fresh} | set(member.refused)
            wanted += [(name, gift) for gift in fresh]
            wanted += [(name, gift) for gift in member.quarantine if gift.skill.id not in known]
        panels = [self._panel(name, turns) for name, _ in wanted]
        cases = [
            admission_case(judge, gift.skill, base, population)
            for (_, gift), panel in zip(wanted, panels, strict=True)
            for judge in panel
        ]
        verdicts = iter(await self.admission.judge(cases) if cases else [])
        members = {name: population.members[name].model_copy(update={"quarantine": ()}) for name in turns}
        passed: dict[str, list[Skill]] = {name: [] for name in turns}
        events: list[MemberEvent] = []
        for (name, gift), panel in zip(wanted, panels, strict=True):
            votes = [next(verdicts) for _ in panel]
            outcome = majority(votes) if panel else "accepted"
            events += _offered(name, gift, votes, outcome, played.round)
            if outcome == "accepted":
                passed[name].append(gift.skill)
            elif outcome == "undecided" and played.round - gift.since < self.patience:
                waiting = (*members[name].quarantine, gift)
                members[name] = members[name].model_copy(update={"quarantine": waiting})
            else:
                members[name] = refusing(members[name], [gift.skill.id])
        written = [PoolChange(name, tuple(passed[name]), changes[name].dropped) for name in turns]
        return population.replace(members), events, written

    def _panel(self, author: str, turns: list[str]) -> list[str]:
        """The next few members after the author, so that each judges about as much as it writes."""
        place = turns.index(author)
        return [*turns[place + 1 :], *turns[:place]][: self.panel]


def majority(votes: Sequence[Verdict]) -> Outcome:
    """What most of those that could decide say; a tie rejects, and nobody who could decide is undecided."""
    accepted = sum(vote.outcome == "accepted" for vote in votes)
    rejected = sum(vote.outcome == "rejected" for vote in votes)
    if accepted == rejected == 0:
        return "undecided"
    return "accepted" if accepted > rejected else "rejected"


def _pooled(base: LearnerState, states: Iterable[LearnerState]) -> LearnerState:
    """The shared pool with everybody's evidence on its skills added up."""
    scores: dict[str, Score] = {}
    for state in states:
        for skill, score in state.scores.items():
            known = scores.get(skill, Score())
            scores[skill] = Score(
                gain=known.gain + score.gain,
                n=known.n + score.n,
                calls=known.calls + score.calls,
                steps=known.steps + score.steps,
            )
    return base.model_copy(update={"scores": scores})


def _offered(author: str, gift: Gift, votes: Sequence[Verdict], outcome: Outcome, round: int) -> list[MemberEvent]:
    skill = gift.skill
    events: list[MemberEvent] = []
    if gift.since == round:
        event = Given(iteration=round, skill=skill.id, parents=skill.parents, giver=author, texts=SkillTexts.of(skill))
        events.append(MemberEvent(COMMONS, event))
    measured = tuple(vote.payload for vote in votes if vote.change is not None)
    if measured:
        event = Judged(iteration=round, skill=skill.id, giver=author, outcome=outcome, votes=measured)
        events.append(MemberEvent(COMMONS, event))
    return events


def _told(receipt: WriteOutcome, round: int) -> list[MemberEvent]:
    author, version = receipt.change.author, receipt.version
    parents = {skill.id: skill.parents for skill in receipt.change.added}
    events: list[Event] = [
        Admitted(iteration=round, skill=skill, parents=parents[skill], giver=author, version=version)
        for skill in receipt.admitted
    ]
    events += [
        Pruned(iteration=round, skill=skill, giver=author, version=version, why=why)
        for skill, why in receipt.pruned.items()
    ]
    events += [
        Skipped(iteration=round, skill=skill, giver=author, version=version, why=why)
        for skill, why in receipt.declined.items()
    ]
    return [MemberEvent(COMMONS, event) for event in events]
