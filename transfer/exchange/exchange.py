"""`Exchange`: what the members of a population give each other after a round. Policies are classes in one slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from transfer.exchange.population import Member, MemberEvent, Population, RoundOutcome, refusing
from transfer.exchange.topology import RouteDirection
from transfer.maintenance.intake import Intake


@dataclass(frozen=True)
class Terms:
    """How much flows, how often and which way. `None` leaves it to the policy."""

    rate: int = 1
    """Skills that go along each route of an exchange."""
    every: int | None = None
    """Rounds from one exchange to the next."""
    direction: RouteDirection | None = None
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

    async def exchange(
        self, base: Population, population: Population, played: RoundOutcome
    ) -> tuple[Population, list[MemberEvent]]:
        """The population after the exchange, and what happened. `base` is how it stood before the round's learning.

        Deterministic given its arguments and its models' answers. Whoever is lost neither gives nor takes.
        """
        ...


@dataclass(frozen=True)
class Isolated:
    """Nobody gives anything: what each learns alone. It is kept like the others' pools."""

    intake: Intake

    async def exchange(
        self, base: Population, population: Population, played: RoundOutcome
    ) -> tuple[Population, list[MemberEvent]]:
        return apply_maintenance(population, self.intake, played.round)


def apply_maintenance(population: Population, intake: Intake, round: int) -> tuple[Population, list[MemberEvent]]:
    """Every member's pool without what maintenance takes out; it will not take that again."""
    members: dict[str, Member] = {}
    events: list[MemberEvent] = []
    for name, member in population.playing.items():
        result = intake(member.state, (), round)
        members[name] = refusing(
            member.model_copy(update={"state": result.state}), [event.skill for event in result.pruned]
        )
        events += [MemberEvent(name, event) for event in result.pruned]
    return population.replace(members), events
