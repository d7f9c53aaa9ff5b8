"""What a run holds in memory, as it gets long or has many episodes in flight."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from testbed.bench.driver.games import RANDOM, Clock, play, study
from testbed.bench.driver.http import served, stub_servers
from testbed.records.trial import Episode

SHARES = (10, 25, 50, 75, 100)
"""Per cent of the episodes after which memory is looked at."""


@dataclass(frozen=True)
class MemoryBench:
    """What `bench_memory` found. Megabytes are 10⁶ bytes of resident memory, all that Python has loaded among them."""

    episodes: int
    steps: int
    in_flight: int
    load: float
    """Processes that wanted a processor just before, ours not among them."""
    cpu_ms_per_step: float
    mb_before: float
    mb_by_per_cent: Mapping[int, float]
    mb_at_most: float
    """In the whole run."""


class Scales(Clock):
    """A clock that weighs the process on the way."""

    def __init__(self, episodes: int) -> None:
        super().__init__()
        self._marks = {max(1, episodes * share // 100): share for share in SHARES}
        self.found: dict[int, float] = {}

    def advance(self, episode: Episode) -> None:
        super().advance(episode)
        if (share := self._marks.get(self.episodes)) is not None:
            self.found[share] = resident()


def bench_memory(
    folder: Path, *, episodes: int = 10_000, in_flight: int = 64, environment: str = "Mastermind-v0", http: bool = False
) -> MemoryBench:
    """Play as many games, so many at once.

    A scripted player answers at once, so that the next game begins when one has ended. Over HTTP, against a stub, all
    games in flight are half played, which is the most that they can hold.
    """
    load = os.getloadavg()[0]
    with stub_servers(1 if http else 0) as urls:
        player = served(urls) if http else RANDOM
        play(folder / "warm", study(player, 8, 8, environment=environment))
        config = study(player, episodes, in_flight, environment=environment)
        before, scales = resident(), Scales(episodes)
        play(folder / "run", config, scales)
    return MemoryBench(
        episodes=scales.episodes,
        steps=scales.steps,
        in_flight=in_flight,
        load=load,
        cpu_ms_per_step=1000 * scales.processor / scales.steps,
        mb_before=before,
        mb_by_per_cent=scales.found,
        mb_at_most=max(most_resident(), before, *scales.found.values()),  # the system counts it late
    )


def resident() -> float:
    """Megabytes of this process."""
    return psutil.Process().memory_info().rss / 1e6


def most_resident() -> float:
    """The same at most, since the process began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
