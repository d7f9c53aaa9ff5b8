"""TextWorld's generated games, real ones, where the extra is installed."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from typing import Any

import pytest

from environments.conformance.check_env import check_env
from environments.games.game import GameError, MissingData
from environments.registry import ENVIRONMENTS
from environments.worlds import scored
from environments.worlds.textworld import game
from environments.worlds.textworld.engine import cleaned
from environments.worlds.textworld.specs import TEXTWORLD

real = pytest.mark.skipif(find_spec("textworld") is None, reason="needs procmem[textworld]")
WORLDS = [
    pytest.param(spec.id, marks=[pytest.mark.slow] * (spec.difficulty > 0)) for spec in TEXTWORLD
]  # a few seconds each, for the compiler


def start(id: str, seed: int = 5) -> Any:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def test_without_the_extra_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(game, "find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"^TextWorld-Coin-v0 needs TextWorld: pip install 'procmem\[textworld\]'$"):
        ENVIRONMENTS["TextWorld-Coin-v0"].make()


def test_the_interpreters_words_are_cut_off():
    told = "\nYou take it.\n\n\n\nWell done.\n\n>          -= Kitchen =-1/2\n"
    assert cleaned(told) == "You take it.\nWell done."
    assert cleaned("You win.\n\n\n     *** The End ***\n\nYou scored 1.\n\nWould you like to QUIT?\n> ") == "You win."
    assert cleaned("-= Attic =-\nA > sign hangs here.") == "-= Attic =-\nA > sign hangs here."


@real
@pytest.mark.parametrize("id", WORLDS)
@pytest.mark.parametrize("seed", [5, 6])
def test_the_planners_way_wins_all_points(id: str, seed: int):
    env = start(id, seed)
    total = 0.0
    while not env.terminations["player_0"]:
        assert not env.truncations["player_0"]
        command = env._game.walkthrough[0]
        assert env.infos["player_0"]["grammar"].accepts(command)
        assert ENVIRONMENTS[id].grammar.accepts(command)
        env.step(command)
        total += env.rewards["player_0"]
    assert total == pytest.approx(1)
    assert env.infos["player_0"]["solved"]
    assert env.infos["player_0"]["invalid"] == 0


@real
@pytest.mark.slow
@pytest.mark.parametrize("id", ["TextWorld-Coin-v0", "TextWorld-Cooking-v0-medium"])
def test_conformance(id: str):
    """A dozen games are compiled: half a minute each on an idle processor."""
    report = check_env(ENVIRONMENTS[id])
    assert report.passed, [row for row in report.rows if not row.passed]


@real
def test_the_way_to_the_coin_is_not_told():
    env = start("TextWorld-Coin-v0")
    opening = env.observe("player_0")["text"]
    assert "coin" in opening
    assert "-= " in opening
    assert "$$" not in opening
    told = opening.partition("-= ")[0]
    assert not any(direction in told for direction in ("north", "south", "east", "west"))


@real
def test_what_is_no_command_is_answered_and_costs_a_turn():
    env = start("TextWorld-Coin-v0")
    env.step("xyzzy")
    assert env.infos["player_0"]["invalid"] == 1
    assert env.observe("player_0")["text"] == scored.NOTHING_HAPPENS
    for _ in range(24):
        env.step("look")
    assert env.truncations["player_0"]
    assert not env.infos["player_0"]["solved"]


@real
def test_eating_the_ingredient_loses():
    env = start("TextWorld-Cooking-v0")
    take = env._game.walkthrough[0]
    env.step(take)
    food = take.removeprefix("take ").partition(" from ")[0]
    env.step(f"eat {food}")
    assert env.terminations["player_0"]
    assert not env.infos["player_0"]["solved"]
    assert env.infos["player_0"]["reason"] == "The task has failed."


@real
def test_a_seed_is_compiled_once_and_always_the_same():
    first = start("TextWorld-Coin-v0", 7)
    folder = game.workshop().name
    made = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder) if "-7." in entry.name}
    second = start("TextWorld-Coin-v0", 7)
    assert first.observe("player_0") == second.observe("player_0")
    assert {name: os.stat(f"{folder}/{name}").st_mtime_ns for name in made} == made
    assert sorted(made) == ["coin-5-7.json", "coin-5-7.z8"]


@real
def test_a_process_that_dies_costs_one_game():
    env = start("TextWorld-Coin-v0")
    os.kill(env._game._process.pid, signal.SIGKILL)
    with pytest.raises(GameError, match="the coin game of TextWorld: its process was killed by SIGKILL"):
        env.step("look")
    env.reset(seed=5)
    env.step("look")
    assert env.infos["player_0"]["invalid"] == 0
