"""Whoever is killed at whatever moment, the study comes to the same end. Moments are drawn from a seed, and printed.

Those of the driver are in test_resume.py, those of Ray in tests/testbed/play/engines/test_ray_engine.py.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from testbed.config.reading.load import load_study, parse_study
from testbed.records.trial import Episode
from testbed.serving import fleet as fleets
from tests.integration.test_outages import MATRIX, content
from tests.support.studies import ROOT, Watcher
from tests.testbed.serving.test_fleet import FAKE, agent, gpu, holds  # noqa: F401  fixtures

KILLS = [2, pytest.param(20, marks=pytest.mark.slow)]


class Killer(Watcher):
    """Kills once so many episodes have come to their end, at each of the moments."""

    def __init__(self, kills: int, episodes: int, kill: Callable[[], bool]) -> None:
        """`kill` says whether it met anybody: a server that is just being started is not there."""
        super().__init__()
        self.moments = sorted(random.Random(kills).sample(range(1, episodes - kills), kills))
        self._kill = kill
        self.killed = 0
        print("killed after so many episodes:", *self.moments)

    def advance(self, episode: Episode) -> None:
        super().advance(episode)
        if self.killed < len(self.moments) and len(self.episodes) >= self.moments[self.killed]:
            self.killed += self._kill()


def changed(one: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A matrix that learns, of one agent that is served."""
    game = {"evaluation_episodes": 30, "concurrency": 4, "agents": [one | {"patience": 300.0}]}
    return MATRIX | game | more


class Server:
    """A stand-in for vLLM in a process of its own, always at one address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "FAKE_GPU": str(folder)}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(FAKE), "--served-model-name", "m", "--port", str(self.port)]
        self._process = subprocess.Popen(command, env=self._environment)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def kill_and_start(self) -> bool:
        self.kill()
        self.start()
        return True


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    running = Server(folder)
    try:
        yield running
    finally:
        running.kill()


@pytest.mark.parametrize("kills", KILLS)
def test_a_server_that_is_killed(kills: int, run_in: Any, tmp_path: Path):
    with server(tmp_path / "server") as running:
        one = {"name": "a", "model": "m", "base_url": f"http://127.0.0.1:{running.port}"}
        config = parse_study(changed(one), "test")
        wait_for(running.port)
        whole = run_in(tmp_path / "whole", config)
        killer = Killer(kills, len(list(whole.episodes())), running.kill_and_start)
        killed = run_in(tmp_path / "killed", config, killer)
    assert killer.killed == kills
    assert content(killed) == content(whole)


@pytest.mark.parametrize("kills", KILLS)
def test_a_server_of_the_studys_own_fleet_that_is_killed(
    kills: int,
    run_in: Any,
    tmp_path: Path,
    gpu: Path,  # noqa: F811
    holds: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    """One that has served for a while is started again, as often as that happens."""
    holds(8000)
    monkeypatch.setattr(fleets, "_SOUND", 0.0)
    monkeypatch.setattr(fleets, "_WATCH", 0.05)
    config = parse_study(changed(agent(tmp_path, "a")), "test")
    whole = run_in(tmp_path / "whole", config)
    starts = (gpu / "log").read_text().count("start a")
    killer = Killer(kills, len(list(whole.episodes())), kill_stand_ins)
    killed = run_in(tmp_path / "killed", config, killer)
    assert killer.killed == kills
    assert (gpu / "log").read_text().count("start a") > starts + 1
    assert content(killed) == content(whole)


def kill_stand_ins() -> bool:
    """Those that this process started, and no other."""
    found = [each for each in psutil.Process().children(recursive=True) if str(FAKE) in each.cmdline()]
    for process in found:
        process.kill()
    return bool(found)


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the stand-in does not start")


def test_a_disk_that_is_full(run_in: Any, tmp_path: Path, environment: dict[str, str]):
    """A real one, of 192 kB: the command ends in a sentence, and once there is room the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own takes root")
    file = tmp_path / "study.toml"
    file.write_text(
        'study = "matrix"\nseed = 5\nlearning_runs = 1\nevaluation_episodes = 30\narms = ["none", "seed"]\n'
        '[[agents]]\nname = "a"\nmodel = "scripted:random"\n[[tasks]]\nenvironment = "Mastermind-v0"\n'
        '[skills]\nembedder = "lexical"\n[learning]\niterations = 1\nepisodes = 2\n'
    )
    try:
        command = [sys.executable, "-m", "testbed", "run", str(file), "--out", str(disk), "--json"]
        full = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert full.returncode == 1
        assert "No space left on device; free some space and run again" in full.stderr
        assert "Traceback" not in full.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert episodes(disk) == episodes(run_in(tmp_path / "whole", load_study(file)).path.parent)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def episodes(out: Path) -> list[bytes]:
    [file] = out.glob("*/episodes.jsonl")
    return sorted(file.read_bytes().splitlines())
