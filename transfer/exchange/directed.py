"""Directed exchange: copies of the givers' best skills along the routes of a topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transfer.exchange.admission import Admission, admission_case
from transfer.exchange.exchange import Terms, apply_maintenance
from transfer.exchange.population import Gift, Member, MemberEvent, Population, RoundOutcome, refusing
from transfer.exchange.topology import Route, RouteDirection, Topology, check_route, directed
from transfer.gate.gate import Verdict
from transfer.maintenance.intake import Intake
from transfer.memory.events.contents import Admitted, Given
from transfer.memory.events.course import Skipped
from transfer.memory.events.evolution import Judged
from transfer.memory.events.line import SkillTexts


@dataclass(frozen=True)
class DirectedExchange:
    """Copies of the givers' best skills, along the routes of a topology, through the receivers' admission."""

    topology: Topology
    direction: RouteDirection
    every: int
    terms: Terms
    admission: Admission
    intake: Intake

    async def exchange(
        self, base: Population, population: Population, played: RoundOutcome
    ) -> tuple[Population, list[MemberEvent]]:
        population, events = apply_maintenance(population, self.intake, played.round)
        population, arrived, happened = self._arrivals(population, played)
        events += happened
        cases = [admission_case(name, gift.skill, base, population) for name, gift in arrived]
        verdicts = await self.admission.judge(cases) if cases else []
        accepted: dict[str, list[Gift]] = {}
        members = dict(population.members)
        for (name, gift), verdict in zip(arrived, verdicts, strict=True):
            events += _judged(name, gift, verdict, played.round)
            if verdict.outcome == "accepted":
                accepted.setdefault(name, []).append(gift)
            elif verdict.outcome == "undecided" and played.round - gift.since < self.terms.patience:
                waiting = (*members[name].quarantine, gift)
                members[name] = members[name].model_copy(update={"quarantine": waiting})
            else:
                members[name] = refusing(members[name], [gift.skill.id])
        for name, gifts in accepted.items():
            members[name], happened = admit(name, members[name], gifts, self.intake, played.round)
            events += happened
        return population.replace(members), events

    def _arrivals(
        self, population: Population, played: RoundOutcome
    ) -> tuple[Population, list[tuple[str, Gift]], list[MemberEvent]]:
        """Everything that waits for a ruling: quarantined gifts that still stand, then fresh ones along the routes."""
        waiting: dict[str, list[Gift]] = {}
        events: list[MemberEvent] = []
        for name, member in population.playing.items():
            reasons = {gift.skill.id: _lapsed(gift, population, member) for gift in member.quarantine}
            waiting[name] = [gift for gift in member.quarantine if not reasons[gift.skill.id]]
            gone = [gift for gift in member.quarantine if reasons[gift.skill.id]]
            events += [_skipped(name, gift, reasons[gift.skill.id], played.round) for gift in gone]
        if played.round % self.every == 0:
            fresh: dict[str, list[Gift]] = {name: [] for name in waiting}
            for route in directed(self.topology.routes(played.merits, played.rng), self.direction):
                check_route(route, list(waiting))
                gifts = self._gifts(route, population, [*waiting[route.receiver], *fresh[route.receiver]], played.round)
                fresh[route.receiver] += gifts[: self.terms.capacity - len(fresh[route.receiver])]
            events += [_given(name, gift, population, played.round) for name, gifts in fresh.items() for gift in gifts]
            waiting = {name: [*gifts, *fresh[name]] for name, gifts in waiting.items()}
        emptied = {name: population.members[name].model_copy(update={"quarantine": ()}) for name in waiting}
        arrived = [(name, gift) for name, gifts in waiting.items() for gift in gifts]
        return population.replace(emptied), arrived, events

    def _gifts(self, route: Route, population: Population, coming: list[Gift], round: int) -> list[Gift]:
        """The giver's best skills that the receiver neither has, awaits nor has refused; none that harmed the giver."""
        giver, receiver = population.members[route.giver].state, population.members[route.receiver]
        known = {*receiver.state.pool.ids, *receiver.refused, *(gift.skill.id for gift in coming)}
        best = sorted(giver.pool.each(), key=lambda skill: (-giver.value_estimate(skill.id), skill.id))
        chosen = [skill for skill in best if skill.id not in known and giver.value_estimate(skill.id) >= 0]
        return [Gift(giver=route.giver, skill=skill, since=round) for skill in chosen[: self.terms.rate]]


def admit(
    name: str, member: Member, gifts: Sequence[Gift], intake: Intake, round: int
) -> tuple[Member, list[MemberEvent]]:
    """The member with the gifts in its pool, as far as there is room or something goes to make room."""
    result = intake(member.state, [gift.skill for gift in gifts], round)
    events = [MemberEvent(name, event) for event in result.pruned]
    for gift in gifts:
        skill = gift.skill
        if skill.id in result.admitted:
            event = Admitted(iteration=round, skill=skill.id, parents=skill.parents, giver=gift.giver)
            events.append(MemberEvent(name, event))
        else:
            events.append(_skipped(name, gift, result.declined[skill.id], round))
    return member.model_copy(update={"state": result.state}), events


def _lapsed(gift: Gift, population: Population, receiver: Member) -> str:
    """Why a gift in quarantine is no longer offered or wanted; "" while it is."""
    giver = population.members[gift.giver]
    if gift.skill.id in receiver.state.pool:
        return "it is there already"
    if giver.lost:
        return "its giver has left"
    return "" if gift.skill.id in giver.state.pool else "its giver has pruned it meanwhile"


def _given(name: str, gift: Gift, population: Population, round: int) -> MemberEvent:
    skill = gift.skill
    author = population.authors.get(skill.id, gift.giver)
    texts = SkillTexts.of(skill)
    return MemberEvent(
        name,
        Given(iteration=round, skill=skill.id, parents=skill.parents, giver=gift.giver, author=author, texts=texts),
    )


def _judged(name: str, gift: Gift, verdict: Verdict, round: int) -> list[MemberEvent]:
    """A verdict's event, where the gate had something to say."""
    if verdict.outcome == "accepted" and verdict.change is None:
        return []
    return [MemberEvent(name, Judged(iteration=round, skill=gift.skill.id, giver=gift.giver, **verdict.fields))]


def _skipped(name: str, gift: Gift, why: str, round: int) -> MemberEvent:
    return MemberEvent(name, Skipped(iteration=round, skill=gift.skill.id, giver=gift.giver, why=why))
