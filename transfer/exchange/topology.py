"""Topologies: who gives to whom after a round. Pure: the same merits and generator give the same routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import numpy as np

RouteDirection = Literal["forward", "backward", "both"]


class TopologyError(ValueError):
    """A graph that cannot be used; one sentence that names the agent and the remedy."""


class Route(NamedTuple):
    """One gift's way."""

    giver: str
    receiver: str


class Topology(Protocol):
    """The shape of a population."""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        """Routes of one exchange, each at most once and never to oneself.

        `merits` gives the mean return of the round for every agent that still plays, in the population's order;
        fewer than two agents have no routes.
        """
        ...


def check_route(route: Route, playing: Sequence[str]) -> None:
    """Raises TopologyError for a route from or to somebody who does not play, or to oneself."""
    if route.giver == route.receiver or not {route.giver, route.receiver} <= set(playing):
        raise TopologyError(
            f"a topology sends a gift from {route.giver!r} to {route.receiver!r}; these cannot exchange"
        )


def directed(routes: Sequence[Route], direction: RouteDirection) -> list[Route]:
    """The routes as they are, turned round, or both; each once."""
    forward = list(routes) if direction != "backward" else []
    backward = [Route(route.receiver, route.giver) for route in routes] if direction != "forward" else []
    return list(dict.fromkeys([*forward, *backward]))


@dataclass(frozen=True)
class Ring:
    """Each to the next; those that play no more are closed over."""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        return _cycle(list(merits))


@dataclass(frozen=True)
class Star:
    """A hub to all others (backward: all others to the hub). The first agent is the hub where none is named or left."""

    hub: str = ""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        hub = self.hub if self.hub in merits else next(iter(merits), "")
        return [Route(hub, name) for name in merits if name != hub]


@dataclass(frozen=True)
class Broadcast:
    """Fully connected: the best agent of the round to all others."""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        best = _best(list(merits), merits)
        return [Route(best, name) for name in merits if name != best]


@dataclass(frozen=True)
class Migration:
    """Islands: a cycle through all agents, drawn anew at every migration."""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        names = list(merits)
        return _cycle([names[index] for index in rng.permutation(len(names))])


@dataclass(frozen=True)
class Tournament:
    """Agents drawn into groups of `size`; the best of each group to the rest of it."""

    size: int = 2

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        names = list(merits)
        drawn = [names[index] for index in rng.permutation(len(names))]
        groups = [drawn[start : start + self.size] for start in range(0, len(drawn), self.size)]
        winners = [_best(group, merits) for group in groups]
        return [
            Route(winner, name)
            for winner, group in zip(winners, groups, strict=True)
            for name in group
            if name != winner
        ]


@dataclass(frozen=True)
class RandomPairs:
    """Agents drawn into pairs; an odd one out waits."""

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        names = list(merits)
        drawn = [names[index] for index in rng.permutation(len(names))]
        return [Route(one, other) for one, other in zip(drawn[::2], drawn[1::2], strict=False)]


@dataclass(frozen=True)
class Graph:
    """A given graph: to whom each agent gives. Raises TopologyError for a self-loop."""

    edges: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for giver, receivers in self.edges.items():
            if giver in receivers:
                raise TopologyError(f"the graph has {giver!r} give to itself; take it out of its own list")

    def check(self, agents: Sequence[str]) -> None:
        """Raises TopologyError for an agent that is not in the population."""
        for name in dict.fromkeys([*self.edges, *(name for names in self.edges.values() for name in names)]):
            if name not in agents:
                raise TopologyError(f"the graph names {name!r}, who is not there; there are: {', '.join(agents)}")

    def routes(self, merits: Mapping[str, float], rng: np.random.Generator) -> list[Route]:
        alive = (
            Route(giver, receiver)
            for giver, receivers in self.edges.items()
            for receiver in receivers
            if giver in merits and receiver in merits
        )
        return list(dict.fromkeys(alive))


def _cycle(names: Sequence[str]) -> list[Route]:
    return [Route(*pair) for pair in pairwise([*names, names[0]])] if len(names) > 1 else []


def _best(names: Sequence[str], merits: Mapping[str, float]) -> str:
    """The first of the best; an agent without a return (NaN) is nobody's best."""
    return max(names, key=lambda name: -np.inf if np.isnan(merits[name]) else merits[name], default="")
