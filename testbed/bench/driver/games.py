"""Games by one player, timed: what benches of whole runs have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from agents.models.adapters.call_cache import CallCache
from agents.models.adapters.metered import Charge
from testbed.config.reading.load import parse_study
from testbed.play.course.budget import UNLIMITED
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.studies.run import run_study


class Clock:
    """Progress that measures."""

    def __init__(self) -> None:
        self.steps = self.episodes = 0
        self.start = self.seconds = self.processor = self._processor = 0.0

    def begins(self) -> None:
        self.steps = self.episodes = 0  # what was there before is not timed
        self.start, self._processor = time.perf_counter(), time.process_time()

    def advance(self, episode: Episode) -> None:
        self.episodes += 1
        self.steps += sum(len(trajectory.steps) for trajectory in episode.seats.values())
        self.seconds = time.perf_counter() - self.start
        self.processor = time.process_time() - self._processor

    def starts(self, trial: Trial) -> None: ...
    def thinks(self, who: str) -> None: ...
    def thought(self, who: str) -> None: ...
    def charged(self, charge: Charge) -> None: ...
    def scored(self, done: int, tokens: int) -> None: ...


def play(
    folder: Path,
    player: Mapping[str, Any],
    episodes: int,
    in_flight: int,
    *,
    engine: Any = "local",
    cache: CallCache | None = None,
    environment: str = "Mastermind-v0",
    clock: Clock | None = None,
) -> tuple[Clock, RunDirectory]:
    """A study of so many games by an agent of these keys (`model`, `base_url`), so many at once, on the disk."""
    content = {
        "study": "matrix",
        "engine": engine,
        "concurrency": in_flight,
        "learning_runs": 1,
        "evaluation_episodes": episodes,
        "arms": ["none"],
        "agents": [{"name": "player", **player}],
        "tasks": [{"environment": environment}],
        "skills": {"embedder": "lexical"},
        "learning": {"iterations": 0},
    }
    clock = clock or Clock()
    config = parse_study(content, "the bench")
    return clock, anyio.run(run_study, config, folder, clock, UNLIMITED, None, cache).run
