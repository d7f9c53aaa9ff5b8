"""Whoever of Ray's is killed at whatever moment, the study comes to the same end.

Kills of the driver are in test_resume.py, of servers in test_kills.py.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.test_kills import KILLS, Killer
from tests.integration.test_resume import content
from tests.testbed.play.engines.test_ray_engine import by, cluster  # noqa: F401  fixture

pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # one machine dies in every run, in test_ray_engine.py

EACH = 12
"""Episodes of an iteration, and in flight."""


@pytest.fixture
def learning(study: Any, cluster: Any) -> Callable[..., Any]:  # noqa: F811
    """Learning from slow episodes, which are listed as they begin, in this process or by three workers of Ray."""

    def config(**engine: Any) -> Any:
        return study(
            study="learn",
            learning_runs=2,
            concurrency=EACH,
            agents=[{"name": "a", "model": "tests.support.slow_model:SlowModel"}],
            learning={"iterations": 4, "episodes": EACH},
            **(by(cluster, **engine) if engine else {}),
        )

    return config


def processes(command: str) -> list[psutil.Process]:
    """Those that this process started, or that were started by them, whose command is like this."""
    found: list[psutil.Process] = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            if re.match(command, " ".join(each.cmdline())):
                found.append(each)
    return sorted(found, key=lambda each: each.pid)


def kill_one(command: str, seed: int) -> Callable[[], bool]:
    chance = random.Random(seed)

    def kill() -> bool:
        found = processes(command)
        if found:
            chance.choice(found).kill()
        return bool(found)

    return kill


def in_hand(run: Any) -> int:
    """Episodes that were with somebody who died, by the log."""
    log = (run.path / "run.log").read_text()
    together = sum(int(number) for number in re.findall(r"a worker is gone \(\w+\); its (\d+) episodes", log))
    return together + log.count("a worker that played one episode alone is gone")


def check(run_in: Any, tmp_path: Path, learning: Any, plays: Path, kills: int, kill: Callable[[], bool]) -> None:
    """The same episodes and events, and none played twice that was not in the hand of somebody who died."""
    whole = run_in(tmp_path / "whole", learning())
    planned = len(list(whole.episodes()))
    plays.write_text("")
    killer = Killer(kills, planned, kill)
    killed = run_in(tmp_path / "killed", learning(workers=3), killer)
    played = plays.read_text().split()
    print(f"{planned} episodes, {len(played)} begun, {in_hand(killed)} in the hands of those who died")
    assert killer.killed == kills
    assert content(killed) == content(whole)
    assert len(set(played)) == planned
    assert len(played) - planned <= in_hand(killed)


@pytest.mark.parametrize("kills", KILLS)
def test_workers_that_are_killed(kills: int, run_in: Any, tmp_path: Path, learning: Any, cluster: Any):  # noqa: F811
    check(run_in, tmp_path, learning, cluster.plays, kills, kill_one("ray::RolloutWorker", kills))


@pytest.mark.parametrize("kills", KILLS)
def test_machines_that_are_killed(kills: int, run_in: Any, tmp_path: Path, learning: Any, cluster: Any):  # noqa: F811
    """By their raylet alone: what it leaves behind must end by itself. Another machine comes for each but the first,
    where the study runs."""
    chance = random.Random(kills)
    [mine] = [each.process.pid for each in cluster.head_node.all_processes["raylet"]]
    join = [Path(sys.executable).with_name("ray"), "start", "--block", "--address", cluster.address, "--num-cpus", "1"]
    join += ["--object-store-memory", str(80 << 20), "--min-worker-port", "0", "--max-worker-port", "0"]
    joined: list[subprocess.Popen[bytes]] = []

    def kill() -> bool:
        found = [each for each in processes(r"\S+/raylet ") if each.pid != mine]
        if not found:
            return False
        chance.choice(found).kill()
        joined.append(subprocess.Popen([*map(str, join)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return True

    try:
        check(run_in, tmp_path, learning, cluster.plays, kills, kill)
    finally:
        for each in joined:
            each.terminate()
            each.wait()
