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
from testbed.config.study import StudyConfig
from testbed.play.course.budget import UNLIMITED
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.studies.run import run_study

PLAYER = "player"
RANDOM = {"model": "scripted:random"}
"""Its keys where it is scripted."""


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


def study(
    player: Mapping[str, Any],
    episodes: int,
    in_flight: int,
    *,
    learning_runs: int = 1,
    engine: Any = "local",
    environment: str = "Mastermind-v0",
) -> StudyConfig:
    """So many games of each learning run, in which nothing is learned, by an agent of these keys (`model`, `base_url`),
    so many at once."""
    content = {
        "study": "matrix",
        "engine": engine,
        "concurrency": in_flight,
        "learning_runs": learning_runs,
        "evaluation_episodes": episodes,
        "arms": ["none"],
        "agents": [{"name": PLAYER, **player}],
        "tasks": [{"environment": environment}],
        "skills": {"embedder": "lexical"},
        "learning": {"iterations": 0},
    }
    return parse_study(content, "the bench")


def play(
    folder: Path, config: StudyConfig, clock: Clock | None = None, cache: CallCache | None = None
) -> tuple[Clock, RunDirectory]:
    """Play a study, or what is left of it, on the disk."""
    clock = clock or Clock()
    return clock, anyio.run(run_study, config, folder, clock, UNLIMITED, None, cache).run
