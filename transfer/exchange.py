"""`Exchange`: what the members of a population give each other after a round. Policies are classes in one slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from transfer import topology
from transfer.admission import Admission, Case, Ruling
from transfer.learner import words
from transfer.sharing import Sharing
from transfer.society import Gift, Member, Played, Said, Society, holding, refusing
from transfer.state import Event
from transfer.topology import Direction, Route, Topology, directed
from transfer.upkeep import Upkeep, esteem


@dataclass(frozen=True)
class Terms:
    """How much flows, how often and which way. `None` leaves it to the policy."""

    rate: int = 1
    """Skills that go along each route of an exchange."""
    every: int | None = None
    """Rounds from one exchange to the next."""
    direction: Direction | None = None
    capacity: int = 4
    """Most gifts that a member takes in at one exchange."""
    patience: int = 2
    """Rounds that an undecided gift may stay in quarantine."""
    hub: str = ""
    """Who stands in the middle of a star."""
    size: int = 2
    """Agents in a tournament's group."""
    graph: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Exchange(Protocol):
    """One policy."""

    async def exchange(self, base: Society, society: Society, played: Played) -> tuple[Society, list[Said]]:
        """The population after the exchange, and what happened. `base` is how it stood before the round's learning.

        Deterministic given its arguments and its models' answers. Whoever is lost neither gives nor takes.
        """
        ...


@dataclass(frozen=True)
class Isolated:
    """Nobody gives anything: what each learns alone. It is kept like the others' pools."""

    upkeep: Upkeep

    async def exchange(self, base: Society, society: Society, played: Played) -> tuple[Society, list[Said]]:
        return weeded(society, self.upkeep, played.round)


@dataclass(frozen=True)
class Giving:
    """Copies of the givers' best skills, along the routes of a topology, through the receivers' admission."""

    topology: Topology
    direction: Direction
    every: int
    terms: Terms
    admission: Admission
    upkeep: Upkeep

    async def exchange(self, base: Society, society: Society, played: Played) -> tuple[Society, list[Said]]:
        society, events = weeded(society, self.upkeep, played.round)
        society, arrived, said = self._arrivals(society, played)
        events += said
        cases = [
            Case(name, gift.skill, society.members[name].state, played.trajectories.get(name, ()))
            for name, gift in arrived
        ]
        rulings = await self.admission.judge(cases) if cases else []
        members = dict(society.members)
        for (name, gift), ruling in zip(arrived, rulings, strict=True):
            members[name], said = self._settled(name, members[name], gift, ruling, played.round)
            events += said
        return society.replace(members), events

    def _arrivals(self, society: Society, played: Played) -> tuple[Society, list[tuple[str, Gift]], list[Said]]:
        """Everything that waits for a ruling: quarantined gifts that still stand, then fresh ones along the routes."""
        waiting: dict[str, list[Gift]] = {}
        events: list[Said] = []
        for name, member in society.playing.items():
            still = [gift for gift in member.quarantine if _stands(gift, society, member)]
            gone = [gift for gift in member.quarantine if gift not in still]
            events += [_skipped(name, gift, "its giver has pruned it meanwhile", played.round) for gift in gone]
            waiting[name] = still
        if played.round % self.every == 0:
            fresh: dict[str, list[Gift]] = {name: [] for name in waiting}
            for route in directed(self.topology.routes(played.merits, played.rng), self.direction):
                gifts = self._gifts(route, society, [*waiting[route.receiver], *fresh[route.receiver]], played.round)
                fresh[route.receiver] += gifts[: self.terms.capacity - len(fresh[route.receiver])]
            events += [_given(name, gift, society, played.round) for name, gifts in fresh.items() for gift in gifts]
            waiting = {name: [*gifts, *fresh[name]] for name, gifts in waiting.items()}
        emptied = {name: society.members[name].model_copy(update={"quarantine": ()}) for name in waiting}
        arrived = [(name, gift) for name, gifts in waiting.items() for gift in gifts]
        return society.replace(emptied), arrived, events

    def _gifts(self, route: Route, society: Society, coming: list[Gift], round: int) -> list[Gift]:
        """The giver's best skills that the receiver neither has, awaits nor has refused; none that harmed the giver."""
        giver, receiver = society.members[route.giver].state, society.members[route.receiver]
        known = {*receiver.state.pool.ids, *receiver.refused, *(gift.skill.id for gift in coming)}
        best = sorted(giver.pool.each(), key=lambda skill: (-esteem(giver, skill.id), skill.id))
        chosen = [skill for skill in best if skill.id not in known and esteem(giver, skill.id) >= 0]
        return [Gift(giver=route.giver, skill=skill, since=round) for skill in chosen[: self.terms.rate]]

    def _settled(self, name: str, member: Member, gift: Gift, ruling: Ruling, round: int) -> tuple[Member, list[Said]]:
        """What a ruling does to the receiver."""
        skill = gift.skill
        events: list[Said] = []
        if ruling.payload:
            payload: dict[str, JsonValue] = {"from": gift.giver, **ruling.payload, "outcome": ruling.outcome}
            events.append(Said(name, Event(kind="verdict", iteration=round, skill=skill.id, payload=payload)))
        if ruling.outcome == "accepted":
            member, said = admitted(name, member, gift, self.upkeep, round)
            return member, [*events, *said]
        if ruling.outcome == "rejected":
            return refusing(member, [skill.id]), events
        if round - gift.since < self.terms.patience:
            return member.model_copy(update={"quarantine": (*member.quarantine, gift)}), events
        return member, [*events, _skipped(name, gift, "nothing could be decided in time", round)]


def weeded(society: Society, upkeep: Upkeep, round: int) -> tuple[Society, list[Said]]:
    """Every member's pool without what it must not keep; it will not take that again."""
    members: dict[str, Member] = {}
    events: list[Said] = []
    for name, member in society.playing.items():
        for skill in upkeep.weeds(member.state):
            payload: dict[str, JsonValue] = {"why": "score", "score": member.state.score(skill).value}
            events.append(Said(name, Event(kind="pruned", iteration=round, skill=skill, payload=payload)))
            state = holding(member.state, member.state.pool.remove(skill), round)
            member = refusing(member.model_copy(update={"state": state}), [skill])  # noqa: PLW2901
        members[name] = member
    return society.replace(members), events


def admitted(name: str, member: Member, gift: Gift, upkeep: Upkeep, round: int) -> tuple[Member, list[Said]]:
    """The member with the gift in its pool, if there is room or somebody to make room."""
    skill, state = gift.skill, member.state
    events: list[Said] = []
    if skill.id in state.pool:
        return member, [_skipped(name, gift, "it is there already", round)]
    if len(state.pool) == state.pool.capacity:
        victim = upkeep.victim(state)
        if victim is None:
            return member, [_skipped(name, gift, "the pool is full", round)]
        payload: dict[str, JsonValue] = {"why": "made room", "score": state.score(victim).value}
        events.append(Said(name, Event(kind="pruned", iteration=round, skill=victim, payload=payload)))
        state = holding(state, state.pool.remove(victim), round)
    state = holding(state, state.pool.add(skill), round)
    payload = {"from": gift.giver}
    event = Event(kind="admitted", iteration=round, skill=skill.id, parents=skill.parents, payload=payload)
    return member.model_copy(update={"state": state}), [*events, Said(name, event)]


def _stands(gift: Gift, society: Society, receiver: Member) -> bool:
    """Whether a gift in quarantine is still offered and still wanted."""
    giver = society.playing.get(gift.giver)
    return giver is not None and gift.skill.id in giver.state.pool and gift.skill.id not in receiver.state.pool


def _given(name: str, gift: Gift, society: Society, round: int) -> Said:
    skill = gift.skill
    author = society.authors.get(skill.id, gift.giver)
    payload: dict[str, JsonValue] = {"from": gift.giver, "author": author, "skill": words(skill)}
    return Said(name, Event(kind="gift", iteration=round, skill=skill.id, parents=skill.parents, payload=payload))


def _skipped(name: str, gift: Gift, why: str, round: int) -> Said:
    payload: dict[str, JsonValue] = {"from": gift.giver, "why": why}
    return Said(name, Event(kind="skipped", iteration=round, skill=gift.skill.id, payload=payload))


ExchangeFactory = Callable[[Terms, Admission, Upkeep], Exchange]


def _giving(shape: Callable[[Terms], Topology], direction: Direction = "forward", every: int = 1) -> ExchangeFactory:
    """A policy of giving: its shape, and its own direction and pace where the terms leave them open."""

    def make(terms: Terms, admission: Admission, upkeep: Upkeep) -> Exchange:
        return Giving(shape(terms), terms.direction or direction, terms.every or every, terms, admission, upkeep)

    return make


EXCHANGES: dict[str, ExchangeFactory] = {
    "isolated": lambda terms, admission, upkeep: Isolated(upkeep),
    "commons": lambda terms, admission, upkeep: Sharing(admission, upkeep, patience=terms.patience),
    "ring": _giving(lambda terms: topology.Ring()),
    "star": _giving(lambda terms: topology.Star(terms.hub), "both"),
    "broadcast": _giving(lambda terms: topology.Broadcast()),
    "migration": _giving(lambda terms: topology.Migration(), every=3),
    "tournament": _giving(lambda terms: topology.Tournament(terms.size)),
    "pairs": _giving(lambda terms: topology.RandomPairs(), "both"),
    "graph": _giving(lambda terms: topology.Graph(terms.graph)),
}
