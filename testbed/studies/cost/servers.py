"""Simulated servers of models: batches whose speed depends on their size, processors that are shared, turns.

A server reads prompts one after the other, and writes for all others at once; while it reads, they wait, since a pass
costs what its tokens cost (continuous batching). Models that are side by side on one site, or in one process, share its
time equally while they have work. Where they take turns, the rule is that of `testbed.serving.turns`.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from testbed.serving.turns import grace
from testbed.studies.cost.clock import Clock, Then
from testbed.studies.cost.fleet_file import FleetFile, ModelSpeed, Tokens
from testbed.studies.cost.placement import Site

_MOMENT = 1e-9
"""Seconds that are none: sums of many small times are not exact."""


class Asked(NamedTuple):
    """One request."""

    tokens: Tokens
    then: Then


class Server:
    """One copy of a model, by the seconds that it has for itself."""

    def __init__(self, speed: ModelSpeed) -> None:
        self._speed = speed
        self._waiting: deque[Asked] = deque()
        self._reading: deque[tuple[float, Asked]] = deque()
        """Seconds of each that are left, and whose."""
        self._writing: list[tuple[float, int, Asked]] = []
        """By the token count at which each is done."""
        self._written = 0.0
        """Tokens that a request has got that was there all the time."""
        self._count = 0
        self.most = 0
        """Requests at once."""

    @property
    def load(self) -> int:
        return len(self._waiting) + self._batch

    @property
    def _batch(self) -> int:
        return len(self._reading) + len(self._writing)

    def add(self, asked: Asked) -> None:
        self._waiting.append(asked)
        self._admit()

    def until_next(self) -> float:
        """Seconds of its own until a request gets on; infinite where there is none."""
        if self._reading:
            return self._reading[0][0]
        return max(0.0, self._writing[0][0] - self._written) / self._pace if self._writing else math.inf

    def work(self, seconds: float) -> None:
        """No longer than `until_next`."""
        if self._reading:
            left, asked = self._reading[0]
            self._reading[0] = left - seconds, asked
        elif self._writing:
            self._written += seconds * self._pace

    def done(self) -> list[Asked]:
        """What has come to its end by now."""
        found: list[Asked] = []
        while self._reading and self._reading[0][0] <= _MOMENT:
            _, asked = self._reading.popleft()
            if asked.tokens.written > 0:
                self._count += 1
                heapq.heappush(self._writing, (self._written + asked.tokens.written, self._count, asked))
            else:
                found.append(asked)
        while self._writing and self._writing[0][0] - self._written <= _MOMENT * self._pace:
            found.append(heapq.heappop(self._writing)[2])
        self._admit()
        return found

    @property
    def _pace(self) -> float:
        """Tokens a second for each."""
        return self._speed.decoding(len(self._writing)) / len(self._writing)

    def _admit(self) -> None:
        while self._waiting and self._batch < self._speed.rows:
            asked = self._waiting.popleft()
            self._reading.append((self._speed.reading(asked.tokens), asked))
        self.most = max(self.most, self._batch)


class Station:
    """A site with the servers on it."""

    def __init__(self, clock: Clock, site: Site, fleet: FleetFile) -> None:
        self.site = site
        self.speeds = {name: fleet.speed(name) for name in site.models}
        self.servers = {name: Server(speed) for name, speed in self.speeds.items()}
        self.busy = 0.0
        """Seconds."""
        self.changes = 0
        self.changing = 0.0
        """Seconds of its changes."""
        self._clock = clock
        self._since = clock.now
        self._version = 0
        self._awake = None if site.takes_turns else ""
        self._queues: dict[str, deque[Asked]] = {}
        """Of models that are not awake, in the order in which the first came."""
        self._loaded: set[str] = set()
        self._uses = 0
        self._grace = grace(0.0)
        self._moving = False

    def load(self, model: str) -> int:
        return self.servers[model].load + len(self._queues.get(model, ()))

    def ask(self, model: str, asked: Asked) -> None:
        if self._awake not in ("", model):
            self._queues.setdefault(model, deque()).append(asked)
            self._consider()
            return
        self._pass_time()
        self._uses += 1
        self.servers[model].add(asked)
        self._plan()

    def _pass_time(self) -> None:
        passed, self._since = self._clock.now - self._since, self._clock.now
        working = self._working()
        for server in working:
            server.work(passed / len(working))
        self.busy += passed if working else 0.0

    def _working(self) -> list[Server]:
        return [server for server in self.servers.values() if server.load]

    def _plan(self) -> None:
        self._version += 1
        version, working = self._version, self._working()
        if working:
            next_one = min(server.until_next() for server in working) * len(working)
            self._clock.after(next_one, lambda: self._get_on(version))

    def _get_on(self, version: int) -> None:
        if version != self._version:
            return
        self._pass_time()
        ended = [asked for server in self._working() for asked in server.done()]
        self._plan()
        for asked in ended:
            asked.then()
        self._consider()

    def _due(self) -> bool:
        return self._awake != "" and not self._moving and bool(self._queues) and not self._working()

    def _consider(self) -> None:
        if not self._due():
            return
        uses = self._uses

        def change() -> None:
            if self._due() and self._uses == uses:
                self._change(next(iter(self._queues)))

        self._clock.after(self._grace if self._awake else 0.0, change)

    def _change(self, model: str) -> None:
        speed = self.speeds[model]
        took = self.speeds[self._awake].sleep if self._awake else 0.0
        took += speed.wake if model in self._loaded else speed.load
        self._loaded.add(model)
        self._moving, self._awake = True, None
        self.changes += 1
        self.changing += took
        self._grace = grace(took)

        def arrived() -> None:
            self._moving, self._awake = False, model
            for asked in self._queues.pop(model):
                self.ask(model, asked)

        self._clock.after(took, arrived)


class Servers:
    """All of them. Each request goes to the copy of its model that has least to do, through the one driver."""

    def __init__(self, clock: Clock, sites: Sequence[Site], fleet: FleetFile) -> None:
        self.stations = [Station(clock, site, fleet) for site in sites]
        self._clock = clock
        self._pause = 0.0 if fleet.driver is None else 1.0 / fleet.driver.calls
        self._driver_free = 0.0
        self.driven = 0.0
        """Seconds in which the driver was busy."""
        self._of: dict[str, list[Station]] = {}
        for station in self.stations:
            for model in station.site.models:
                self._of.setdefault(model, []).append(station)

    def ask(self, model: str, tokens: Tokens, calls: float, then: Then) -> None:
        """So many calls in one."""
        took = calls * self._pause
        self.driven += took
        self._driver_free = max(self._driver_free, self._clock.now) + took
        self._clock.after(self._driver_free - self._clock.now, lambda: self._reach(model, Asked(tokens, then)))

    def _reach(self, model: str, asked: Asked) -> None:
        stations = self._of.get(model)
        if stations is None:  # a scripted model takes no time
            asked.then()
            return
        min(stations, key=lambda station: station.load(model)).ask(model, asked)


class Question:
    """One request, as a process waits for it."""

    def __init__(self, servers: Servers, model: str, tokens: Tokens, calls: float = 1.0) -> None:
        self._asked = servers, model, tokens, calls

    def begin(self, clock: Clock, then: Then) -> None:
        servers, model, tokens, calls = self._asked
        servers.ask(model, tokens, calls, then)
