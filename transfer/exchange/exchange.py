"""`Exchange`: what the members of a population give each other after a round. Policies are classes in one slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from transfer.exchange.population import Member, Played, Said, Society, refusing
from transfer.exchange.topology import Direction
from transfer.maintenance.intake import Upkeep


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


def weeded(society: Society, upkeep: Upkeep, round: int) -> tuple[Society, list[Said]]:
    """Every member's pool without what maintenance takes out; it will not take that again."""
    members: dict[str, Member] = {}
    events: list[Said] = []
    for name, member in society.playing.items():
        kept = upkeep(member.state, (), round)
        members[name] = refusing(
            member.model_copy(update={"state": kept.state}), [event.skill for event in kept.pruned]
        )
        events += [Said(name, event) for event in kept.pruned]
    return society.replace(members), events
