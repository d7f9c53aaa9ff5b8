"""What a cache of calls gains a run that asks again, and costs one that does not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from agents.models.adapters.call_cache import CallCache
from agents.models.adapters.metered import Account
from testbed.bench.driver.games import Clock, play, study
from testbed.records.side_files.accounts import read_accounts

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


def bench_call_cache(folder: Path, model: str, *, episodes: int = 16) -> CallCacheBench:
    """Play games of Mastermind with a model in this process, all at once. Raises ModelError."""
    load = os.getloadavg()[0]
    file = folder / "calls.db"
    clocks: dict[str, Clock] = {}
    accounts: dict[str, Account] = {}
    written: dict[str, list[bytes]] = {}
    for name in PASSES:
        with nullcontext() if name == "without" else closing(CallCache(file)) as cache:
            clocks[name], run = play(folder / name, study({"model": model}, episodes, episodes), cache=cache)
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
