"""How long a study takes on a fleet: its episodes, batches, turns and learners, played through by a clock."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbed.config.study import StudyConfig
from testbed.studies.cost.clock import Clock, Places, Process, Together
from testbed.studies.cost.fleet_file import NOTHING, FleetFile, Tokens
from testbed.studies.cost.games import Habits, held
from testbed.studies.cost.placement import Site, place
from testbed.studies.cost.servers import Question, Servers, Station
from testbed.studies.cost.workload import Cell, Learning, Workload, takes_time, who_asks

MOST_EPISODES = 10_000
"""Evaluation episodes that are played through; what is beyond goes on at their pace."""
WAVES = 3
"""Algorithm 1 asks its writers for gradients, then for their aggregate, then for candidates, each all at once."""


@dataclass(frozen=True)
class Prediction:
    """A study on a fleet."""

    seconds: float
    """From when the models are loaded to the end."""
    learning: float
    """Of these, until everything was learned."""
    loading: float
    """Seconds before: until all models that have a place of their own answer."""
    tokens: Mapping[str, Tokens]
    """By model; of prompts, those that no cache held."""
    calls: float
    sites: tuple[Site, ...]
    busy: tuple[float, ...]
    """Share of the time in which each site computes."""
    most: Mapping[str, int]
    """Largest batch of a copy, by model."""
    changes: int
    """Turns: how often a model came into memory in place of another, or first of all."""
    driver: float
    """Share of the time in which the driver is at work."""
    unknown: tuple[str, ...]
    """What was not known, and what was taken for it."""


def predict(
    config: StudyConfig, fleet: FleetFile, evaluation: Mapping[tuple[str, str, str], int], habits: Habits | None
) -> Prediction:
    """`evaluation` and `habits` as `Workload` takes them.

    Raises ConfigError, before anything else where a model fits nowhere or nothing is said of its speed.
    """
    models = {agent.model for agent in who_asks(config) if takes_time(agent)}
    place(fleet, dict.fromkeys(sorted(models), 1.0))
    work = Workload(config, evaluation, habits)
    sites = place(
        fleet,
        {
            model: fleet.speed(model).working(work.tokens.get(model, NOTHING), config.concurrency)
            for model in sorted(models)
        },
    )
    some, *fewer = _thinned(work.cells)
    played = _play(work, sites, fleet, some)
    seconds = played.seconds
    for cells in fewer:
        more = _episodes(some) - _episodes(cells)
        pace = (played.seconds - _play(work, sites, fleet, cells).seconds) / more
        seconds += max(0.0, pace) * (_episodes(work.cells) - _episodes(some))
    stations = played.servers.stations
    share = 1.0 / played.seconds if played.seconds else 0.0
    return Prediction(
        seconds=seconds,
        learning=played.learned,
        loading=max(map(_loading, stations), default=0.0),
        tokens=work.tokens,
        calls=work.calls,
        sites=tuple(sites),
        busy=tuple(station.busy * share for station in stations),
        most=_most(stations),
        changes=sum(station.changes for station in stations),
        driver=played.servers.driven * share,
        unknown=tuple(work.unknown),
    )


class Played(NamedTuple):
    """How it went."""

    seconds: float
    learned: float
    """When everything was learned."""
    servers: Servers


def _play(work: Workload, sites: Sequence[Site], fleet: FleetFile, cells: Sequence[Cell]) -> Played:
    clock = Clock()
    servers = Servers(clock, sites, fleet)
    run = _Run(work, servers)
    learned: list[float] = []

    def study() -> Process:
        yield Together(map(run.learning, work.learning))
        learned.append(clock.now)
        yield Together(map(run.cell, sorted(cells, key=lambda cell: run.queue(cell.agent))))

    clock.start(study())
    return Played(clock.run(), learned[0], servers)


class _Run:
    """A study under way, with the places that its concurrency allows."""

    def __init__(self, work: Workload, servers: Servers) -> None:
        self._work = work
        self._plan = work.config.learning
        self._servers = servers
        self._cells = Places(work.config.concurrency)
        self._queues: defaultdict[str, Places] = defaultdict(lambda: Places(work.config.concurrency))
        self._turns = {model for each in servers.stations if each.site.takes_turns for model in each.site.models}

    def queue(self, agent: str) -> str:
        """As `Fleet.queue`: a model that takes turns has places of its own."""
        model = self._work.model(agent)
        return model if model in self._turns else ""

    def learning(self, group: Learning) -> Process:
        for _ in range(self._plan.iterations):
            yield Together(
                self._episode(agent, group.task, held("learn", memory))
                for agent, memory in group.members
                for _ in range(self._plan.episodes)
            )
            yield Together(self._think(agent, memory) for agent, memory in group.members)

    def cell(self, cell: Cell) -> Process:
        yield self._cells
        yield Together(self._episode(cell.agent, cell.task, cell.arm) for _ in range(cell.episodes))
        self._cells.leave()

    def _episode(self, agent: str, task: str, arm: str) -> Process:
        places = self._queues[self.queue(agent)]
        yield places
        for model, tokens, calls in self._work.draw(agent, task, arm):
            yield Question(self._servers, model, tokens, calls)
        places.leave()

    def _think(self, agent: str, memory: str) -> Process:
        for model, thought in self._work.thoughts(agent, memory):
            calls = round(thought.calls)
            written = Tokens(thought.tokens.prompt, thought.tokens.written)
            for wave in range(min(WAVES, calls)):
                size = len(range(wave, calls, WAVES))
                yield Together(self._ask(model, written * (1 / calls)) for _ in range(size))
            if thought.tokens.scored:
                yield Question(self._servers, model, Tokens(scored=thought.tokens.scored))

    def _ask(self, model: str, tokens: Tokens) -> Process:
        yield Question(self._servers, model, tokens)


def _loading(station: Station) -> float:
    """Models of one site are loaded one after the other; those that take turns, when their turn comes."""
    return 0.0 if station.site.takes_turns else sum(speed.load for speed in station.speeds.values())


def _episodes(cells: Sequence[Cell]) -> int:
    return sum(cell.episodes for cell in cells)


def _thinned(cells: Sequence[Cell]) -> list[Sequence[Cell]]:
    """All, or every so-many-th, and half of those: the difference is the pace of what is left out."""
    step = math.ceil(_episodes(cells) / MOST_EPISODES)
    return [cells] if step <= 1 else [cells[::step], cells[:: 2 * step]]


def _most(stations: Sequence[Station]) -> dict[str, int]:
    found: dict[str, int] = {}
    for station in stations:
        for name, server in station.servers.items():
            found[name] = max(found.get(name, 0), server.most)
    return found
