"""Scripted decision steps per second by Ray's workers, against this process; all of it stored, and the same."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.bench.driver.games import RANDOM, Clock, play, study

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
        clocks[name], run = play(folder / name, study(RANDOM, episodes, IN_FLIGHT, engine=engine))
        written.append(sorted(run.episodes_file.read_bytes().splitlines()))
    for name in list(engines)[:2]:
        few = study(RANDOM, max(10, episodes // 20), 1, engine=engines[name])
        alone[name], _ = play(folder / f"{name} alone", few)
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
