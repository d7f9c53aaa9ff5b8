"""What a cache of calls gains a run that asks again, and costs one that does not."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import anyio

from agents.models.adapters.call_cache import CallCache
from agents.models.adapters.metered import Account, Charge
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.play.course.budget import UNLIMITED
from testbed.records.side_files.accounts import read_accounts
from testbed.records.trial import Episode, Trial
from testbed.studies.run import run_study

PASSES = ("without", "empty", "full")
"""No cache, one that holds nothing yet, one that holds everything."""


@dataclass(frozen=True)
class CallCacheBench:
    """Of the same games each time, by what the cache held."""

    episodes: int
    calls: int
    """Of the first time."""
    load: float
    """Processes that wanted a processor just before, ours not among them."""
    seconds: Mapping[str, float]
    """By the wall clock, from the first episode to the last."""
    processor_seconds: Mapping[str, float]
    """Of this process, models among it."""
    recalled: Mapping[str, int]
    """Answers that nobody was asked for."""
    file_bytes: int
    speed_up: float
    """Processor seconds of the empty one over those of the full one."""
    equal: bool
    """Whether the full one plays the episodes of the empty one, byte for byte."""


class _Clock:
    """Progress that measures."""

    def begins(self) -> None:
        self.start, self.processor_start = time.perf_counter(), time.process_time()

    def advance(self, episode: Episode) -> None:
        self.seconds = time.perf_counter() - self.start
        self.processor = time.process_time() - self.processor_start

    def starts(self, trial: Trial) -> None: ...
    def thinks(self, who: str) -> None: ...
    def thought(self, who: str) -> None: ...
    def charged(self, charge: Charge) -> None: ...
    def scored(self, done: int, tokens: int) -> None: ...


def bench_call_cache(folder: Path, model: str, *, episodes: int = 16) -> CallCacheBench:
    """Play games of Mastermind with a model in this process, all at once. Raises ModelError."""
    load = os.getloadavg()[0]
    file = folder / "calls.db"
    clocks = {name: _Clock() for name in PASSES}
    accounts: dict[str, Account] = {}
    written: dict[str, list[bytes]] = {}
    for name, clock in clocks.items():
        with nullcontext() if name == "without" else closing(CallCache(file)) as cache:
            run = anyio.run(run_study, _study(model, episodes), folder / name, clock, UNLIMITED, None, cache).run
        accounts[name] = read_accounts(run.path).total
        written[name] = sorted(run.episodes_file.read_bytes().splitlines())
    return CallCacheBench(
        episodes=episodes,
        calls=accounts["without"].calls,
        load=load,
        seconds={name: clock.seconds for name, clock in clocks.items()},
        processor_seconds={name: clock.processor for name, clock in clocks.items()},
        recalled={name: account.recalled for name, account in accounts.items()},
        file_bytes=file.stat().st_size,
        speed_up=clocks["empty"].processor / clocks["full"].processor,
        equal=written["full"] == written["empty"],
    )


def _study(model: str, episodes: int) -> StudyConfig:
    content = {
        "study": "matrix",
        "concurrency": episodes,
        "learning_runs": 1,
        "evaluation_episodes": episodes,
        "arms": ["none"],
        "agents": [{"name": "player", "model": model}],
        "tasks": [{"environment": "Mastermind-v0"}],
        "skills": {"embedder": "lexical"},
        "learning": {"iterations": 0},
    }
    return parse_study(content, "the bench")
