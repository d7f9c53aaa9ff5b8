"""TextWorld-Express's games, real ones, where the extra and Java are installed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from environments.conformance.check_env import check_env
from environments.games.game import GameError, MissingData
from environments.registry import ENVIRONMENTS
from environments.spec import ChoiceError
from environments.worlds import scored
from environments.worlds.processes import GameProcesses
from environments.worlds.textworld_express import game
from environments.worlds.textworld_express.specs import TEXTWORLD_EXPRESS

real = pytest.mark.skipif(
    find_spec("textworld_express") is None or shutil.which("java") is None,
    reason="needs procmem[textworld-express] and Java",
)
SEAT = "player_0"
ARITHMETIC, SORTING = "TextWorldExpress-Arithmetic-v0", "TextWorldExpress-Sorting-v0"
KITCHEN = "TextWorldExpress-Cooking-v0"


def start(id: str, seed: int = 1) -> Any:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def test_without_the_extra_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(game, "find_spec", lambda name: None)
    said = r"^TextWorldExpress-Sorting-v0 needs TextWorld-Express: pip install 'procmem\[textworld-express\]'$"
    with pytest.raises(MissingData, match=said):
        ENVIRONMENTS[SORTING].make()


def test_without_java_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(game, "find_spec", lambda name: name)
    monkeypatch.setattr(game.shutil, "which", lambda name: None)
    with pytest.raises(
        MissingData, match=r"^TextWorldExpress-Sorting-v0 needs Java 8 or later, and there is no `java`"
    ):
        ENVIRONMENTS[SORTING].make()


@pytest.mark.parametrize("choice", ["split=valid", "fold=test", "test", "split"])
def test_a_wrong_choice_is_one_sentence(choice: str):
    with pytest.raises(ChoiceError, match="is no choice; write split=train, split=dev or split=test"):
        ENVIRONMENTS[f"{KITCHEN}:{choice}"]


def test_families_are_graded():
    families: dict[str, list[int]] = {}
    for spec in TEXTWORLD_EXPRESS:
        families.setdefault(spec.family, []).append(spec.difficulty)
    assert sorted(families.values()) == [[0], [0], [0, 1, 2], [0, 1, 2], [0, 1, 2]]


@real
def test_a_java_that_does_not_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "java").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    processes = GameProcesses(Path(game.__file__).with_name("engine.py"))
    monkeypatch.setattr(game.ExpressGame, "processes", processes)
    with pytest.raises(GameError, match=r"^the sorting game of TextWorld-Express: .* its Java did not start; it needs"):
        start(SORTING)
    processes.end()


@real
@pytest.mark.parametrize("id", [spec.id for spec in TEXTWORLD_EXPRESS])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_games_own_way_wins_all_points(id: str, split: str):
    for seed in (1, 2**31 - 1):
        env = start(f"{id}:split={split}", seed)
        total = 0.0
        for command in env._game.walkthrough:
            if env.terminations[SEAT]:
                break  # some ways go on beyond the end
            assert env.infos[SEAT]["grammar"].accepts(command)
            assert all(ENVIRONMENTS[id].grammar.accepts(option) for option in env.infos[SEAT]["grammar"].options)
            env.step(command)
            total += env.rewards[SEAT]
        assert env.terminations[SEAT]
        assert total == pytest.approx(1)
        assert env.infos[SEAT]["solved"]


@real
@pytest.mark.parametrize("id", [f"{KITCHEN}:split=test", SORTING])
def test_conformance(id: str):
    report = check_env(ENVIRONMENTS[id])
    assert not report.missing
    assert report.passed, [row for row in report.rows if not row.passed]


@real
def test_two_processes_play_the_same_game():
    first, second = start(KITCHEN, 5), start(KITCHEN, 5)
    assert first._game._process.pid != second._game._process.pid
    for command in first._game.walkthrough:
        assert first.observe(SEAT) == second.observe(SEAT)
        assert first.infos[SEAT]["grammar"] == second.infos[SEAT]["grammar"]
        first.step(command)
        second.step(command)
    assert start(KITCHEN, 6).observe(SEAT) != start(KITCHEN, 5).observe(SEAT)


@real
def test_other_splits_have_other_things():
    taken: dict[str, set[str]] = {}
    for split in ("train", "test"):
        ways = [
            start(f"TextWorldExpress-Commonsense-v0-hard:split={split}", seed)._game.walkthrough for seed in range(6)
        ]
        taken[split] = {command for way in ways for command in way if command.startswith("take ")}
    assert min(map(len, taken.values())) > 10
    assert not taken["train"] & taken["test"]


@real
def test_what_is_no_command_is_answered_and_costs_a_turn():
    env = start(SORTING)
    env.step("xyzzy")
    assert env.infos[SEAT]["invalid"] == 1
    assert env.observe(SEAT)["text"] == scored.NOTHING_HAPPENS
    for _ in range(19):
        env.step("look around")
    assert env.truncations[SEAT]
    assert not env.infos[SEAT]["solved"]


@real
def test_a_wrong_order_takes_back_what_was_paid():
    env = start(SORTING)
    way = env._game.walkthrough
    env.step(way[0])
    env.step(way[1])
    assert env.rewards[SEAT] == pytest.approx(1 / 3)
    env.step(way[4])
    env.step(way[5])
    assert env.rewards[SEAT] == pytest.approx(-1 / 3)
    assert env.terminations[SEAT]
    assert not env.infos[SEAT]["solved"]
    assert env.infos[SEAT]["reason"] == "The task has failed."


@real
def test_a_wrong_sum_pays_nothing():
    env = start(ARITHMETIC)
    wrong = next(each for each in env.infos[SEAT]["grammar"].options if each.startswith("take 1024 "))
    env.step(wrong)
    env.step(f"put {wrong.removeprefix('take ')} in box")
    assert env.terminations[SEAT]
    assert env.rewards[SEAT] == 0


@real
def test_a_process_that_dies_costs_one_game_and_takes_its_java_along():
    env = start(SORTING)
    (java,) = psutil.Process(env._game._process.pid).children()
    os.kill(env._game._process.pid, signal.SIGKILL)
    with pytest.raises(GameError, match="the sorting game of TextWorld-Express: its process was killed by SIGKILL"):
        env.step("look around")
    until = time.monotonic() + 20
    while java.is_running() and java.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.05)
    assert not java.is_running() or java.status() == psutil.STATUS_ZOMBIE
    env.reset(seed=1)
    env.step("look around")
    assert env.infos[SEAT]["invalid"] == 0


@real
def test_strangers_on_this_machine_cannot_reach_the_java():
    """It listens on loopback; without the word that its engine knows, it answers nobody."""
    from py4j.java_gateway import GatewayParameters, JavaGateway
    from py4j.protocol import Py4JError

    env = start(SORTING)
    (java,) = psutil.Process(env._game._process.pid).children()
    port = next(each.laddr.port for each in java.net_connections() if each.status == psutil.CONN_LISTEN)
    with pytest.raises(Py4JError):
        JavaGateway(gateway_parameters=GatewayParameters(port=port)).jvm.java.lang.System.getProperty("user.home")
    env.step("look around")
    assert env.infos[SEAT]["invalid"] == 0
