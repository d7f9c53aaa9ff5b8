"""What it takes to resume a run of very many episodes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import anyio

from testbed.bench.driver.games import PLAYER, RANDOM, play, study
from testbed.bench.driver.memory import most_resident, resident
from testbed.config.study import StudyConfig
from testbed.play.models import build_players, versions
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode
from testbed.studies.schedule import Cell, cell_trials

EACH = 500
"""Episodes of a learning run."""
IN_FLIGHT = 64


@dataclass(frozen=True)
class ResumeBench:
    """What `bench_resume` found, from the command's beginning to its end, when nothing is left to play."""

    episodes: int
    bytes: int
    """Of `episodes.jsonl`."""
    load: float
    """Processes that wanted a processor just before, ours not among them."""
    seconds: float
    """By the clock."""
    cpu_seconds: float
    cpu_us_per_episode: float
    mb_before: float
    """10⁶ bytes of resident memory, all that Python has loaded among them."""
    mb_at_most: float


def bench_resume(folder: Path, *, episodes: int = 1_000_000, environment: str = "GuessTheNumber-v0") -> ResumeBench:
    """Write a study of as many episodes, all of them copies of one that was played, and run it."""
    _, played = play(folder / "one", study(RANDOM, 1, 1, environment=environment))
    config = study(RANDOM, EACH, IN_FLIGHT, learning_runs=max(1, episodes // EACH), environment=environment)
    run = anyio.run(_write, folder / "many", config, next(played.episodes()))
    load, before = os.getloadavg()[0], resident()
    wall, processor = time.perf_counter(), time.process_time()
    clock, _ = play(folder / "many", config)
    seconds, taken = time.perf_counter() - wall, time.process_time() - processor
    if clock.episodes:
        raise RuntimeError(f"{clock.episodes} episodes were played again")
    count = config.learning_runs * EACH
    return ResumeBench(
        episodes=count,
        bytes=run.episodes_file.stat().st_size,
        load=load,
        seconds=seconds,
        cpu_seconds=taken,
        cpu_us_per_episode=1e6 * taken / count,
        mb_before=before,
        mb_at_most=most_resident(),
    )


async def _write(out: Path, config: StudyConfig, one: Episode) -> RunDirectory:
    today = date.today()
    players = await build_players(config, today)
    (task,) = players.tasks

    def lines() -> Iterator[str]:
        trial, seed = one.trial.model_dump_json(), f'"env_seed":{one.trial.env_seed}'
        before, after = one.model_dump_json().split(trial)
        for number in range(config.learning_runs):
            for each in cell_trials(players, Cell("none", PLAYER, task, number, None, "none")):
                rest = after.replace(one.trial.id, each.id).replace(seed, f'"env_seed":{each.env_seed}', 1)
                yield f"{before}{each.model_dump_json()}{rest}\n"

    with (
        RunDirectory.create(out, config, versions(players), today.isoformat()) as run,
        run.episodes_file.open("w", encoding="utf-8") as stream,
    ):
        stream.writelines(lines())
    return run
