"""Scripted decision steps per second by Ray's workers, against this process; all of it stored, and the same."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from agents.models.adapters.metered import Charge
from testbed.config.reading.load import parse_study
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.studies.run import run_study

GAME = "Mastermind-v0"
IN_FLIGHT = 64


@dataclass(frozen=True)
class EnginesBench:
    """What `bench_engines` found. An engine is called "local", or "ray" with its number of workers."""

    episodes: int
    steps: int
    processors: int
    load: float
    """Processes that wanted a processor just before, ours not among them."""
    steps_per_second: Mapping[str, float]
    """By the wall clock, from the first episode to the last, records written."""
    driver_ms_per_trial: Mapping[str, float]
    """Processor time of the process that runs the study: by Ray, what it takes to have a trial played elsewhere."""
    trial_ms_alone: Mapping[str, float]
    """Wall time of a trial with nothing beside it."""
    equal: bool
    """Whether all engines wrote the same episodes."""


class Clock:
    """Progress that measures."""

    def __init__(self) -> None:
        self.steps = self.episodes = 0
        self.start = self.seconds = self.processor = 0.0

    def begins(self) -> None:
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


def bench_engines(folder: Path, *, workers: Sequence[int] = (1, 2, 4), episodes: int = 2000) -> EnginesBench:
    """Play as many games of Mastermind by each engine, IN_FLIGHT at once; then a twentieth of them one by one.

    Raises EngineError where there is no Ray.
    """
    load = os.getloadavg()[0]
    engines: dict[str, Any] = {"local": "local"}
    engines |= {f"ray {count}": {"name": "ray", "workers": count} for count in workers}
    clocks: dict[str, Clock] = {}
    alone: dict[str, Clock] = {}
    written: list[list[bytes]] = []
    for name, engine in engines.items():
        clocks[name], run = _played(folder / name, engine, episodes, IN_FLIGHT)
        written.append(sorted(run.episodes_file.read_bytes().splitlines()))
    for name in list(engines)[:2]:
        alone[name], _ = _played(folder / f"{name} alone", engines[name], max(10, episodes // 20), 1)
    return EnginesBench(
        episodes=episodes,
        steps=clocks["local"].steps,
        processors=os.cpu_count() or 1,
        load=load,
        steps_per_second={name: clock.steps / clock.seconds for name, clock in clocks.items()},
        driver_ms_per_trial={name: 1000 * clock.processor / clock.episodes for name, clock in clocks.items()},
        trial_ms_alone={name: 1000 * clock.seconds / clock.episodes for name, clock in alone.items()},
        equal=all(each == written[0] for each in written),
    )


def _played(folder: Path, engine: Any, episodes: int, in_flight: int) -> tuple[Clock, RunDirectory]:
    content = {
        "study": "matrix",
        "engine": engine,
        "concurrency": in_flight,
        "learning_runs": 1,
        "evaluation_episodes": episodes,
        "arms": ["none"],
        "agents": [{"name": "player", "model": "scripted:random"}],
        "tasks": [{"environment": GAME}],
        "skills": {"embedder": "lexical"},
        "learning": {"iterations": 0},
    }
    clock = Clock()
    return clock, anyio.run(run_study, parse_study(content, "the bench"), folder, clock).run
