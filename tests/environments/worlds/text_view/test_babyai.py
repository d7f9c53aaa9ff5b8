"""BabyAI's levels in words: what is told is what is there, and minigrid's own bot wins by moves that we name."""

from __future__ import annotations

import builtins
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from environments.conformance.check_env import check_env
from environments.games.game import MissingData
from environments.registry import ENVIRONMENTS
from environments.worlds.text_view.babyai import ACTIONS, BABYAI, babyai

real = pytest.mark.skipif(find_spec("minigrid") is None, reason="needs procmem[minigrid]")
SEAT = "player_0"


def start(id: str, seed: int) -> Any:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def picture(*things: tuple[int, int, int, int, int]) -> Any:
    """An empty room with things: steps ahead, to the left, kind, colour, state."""
    image = np.tile(np.array([1, 0, 0], dtype=np.uint8), (7, 7, 1))
    for ahead, left, *field in things:
        image[3 - left, 6 - ahead] = field
    return {"mission": "go", "image": image}


@pytest.mark.parametrize(
    ("things", "said"),
    [
        ([], "Mission: go. You see nothing."),
        ([(1, 0, 6, 0, 0)], "Mission: go. You see a red ball 1 step ahead."),
        ([(2, 1, 5, 4, 0)], "Mission: go. You see a yellow key 2 steps ahead and 1 to the left."),
        ([(0, -3, 7, 5, 0)], "Mission: go. You see a grey box 3 to the right."),
        ([(1, 0, 4, 2, 2)], "Mission: go. You see a locked blue door 1 step ahead."),
        ([(0, 0, 5, 1, 0)], "Mission: go. You carry a green key. You see nothing."),
        ([(3, 0, 2, 5, 0), (5, 0, 2, 5, 0)], "Mission: go. You see a wall 3 steps ahead."),
        ([(0, 2, 2, 5, 0), (4, 0, 6, 3, 0)], "Mission: go. You see a purple ball 4 steps ahead; a wall 2 to the left."),
    ],
)
def test_what_is_there_is_told(things, said):
    assert babyai(picture(*things), 0) == said


def test_without_the_extra_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    imported = builtins.__import__

    def refused(name: str, *rest: Any, **more: Any) -> Any:
        if name == "minigrid":
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refused)
    with pytest.raises(MissingData, match=r"^BabyAI-GoToLocal-v0 needs minigrid: pip install 'procmem\[minigrid\]'$"):
        ENVIRONMENTS["BabyAI-GoToLocal-v0"].make()


@real
@pytest.mark.parametrize("id", [spec.id for spec in BABYAI])
def test_minigrids_bot_fulfils_the_mission(id: str, capsys):
    from minigrid.utils.baby_ai_bot import BabyAIBot

    for seed in range(5):
        env = start(id, seed)
        level = env._game._env._env.unwrapped
        bot, moves, action = BabyAIBot(level), 0, None
        while not env.terminations[SEAT]:
            assert f"Mission: {level.mission}." in env.observe(SEAT)["text"]
            action = bot.replan(action)
            env.step(f"[{ACTIONS[int(action)]}]")
            moves += 1
        assert env.infos[SEAT]["solved"]
        assert env._totals[SEAT] == pytest.approx(1 - 0.9 * moves / level.max_steps)
    assert capsys.readouterr().out == ""


@real
def test_a_mission_that_is_not_fulfilled_pays_nothing_in_the_end():
    env = start("BabyAI-PickupLoc-v0", 0)
    for _ in range(64):
        env.step("[turn left]")
    assert env.terminations[SEAT] or env.truncations[SEAT]
    assert not env.infos[SEAT]["solved"]
    assert env._totals[SEAT] == 0


@real
def test_seeds_are_different_rooms():
    assert len({start("BabyAI-GoToLocal-v0", seed).observe(SEAT)["text"] for seed in range(8)}) == 8


@real
def test_conformance():
    report = check_env(ENVIRONMENTS["BabyAI-GoToLocal-v0"])
    assert not report.missing
    assert report.passed, [row for row in report.rows if not row.passed]
