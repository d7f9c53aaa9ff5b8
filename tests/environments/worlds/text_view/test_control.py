"""Continuous control in words: what is told is enough to win by, and numbers reach the environment as they are."""

from __future__ import annotations

import math
import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from environments.conformance.check_env import check_env
from environments.games.game import GameError
from environments.games.numbers import Setting, Settings
from environments.registry import ENVIRONMENTS
from environments.worlds.text_view.control import CONTROL, HELD, PENDULUM, STEPS, WORST_STEP, car, pendulum
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import aec_world, gymnasium_world
from tests.support.arrays import Countdown

SEAT = "player_0"


def start(id: str, seed: int) -> Any:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def numbers(env: Any) -> list[float]:
    """The angle (or place) and the speed that a player is told."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", env.observe(SEAT)["text"])[:2]]


def earned(env: Any, policy: Any) -> float:
    total = 0.0
    while not (env.terminations[SEAT] or env.truncations[SEAT]):
        env.step(policy(*numbers(env)))
        total += env.rewards[SEAT]
    return total


@pytest.mark.parametrize("spec", CONTROL, ids=lambda spec: spec.id)
def test_they_keep_all_promises(spec):
    assert check_env(spec).passed


def test_pushing_the_way_the_car_rolls_takes_it_to_the_goal():
    for seed in range(5):
        env = start("Gymnasium-MountainCarContinuous-v0", seed)
        assert earned(env, lambda place, speed: "[1.00]" if speed >= 0 else "[-1.00]") > 85
        assert env.infos[SEAT]["solved"]
    idle = start("Gymnasium-MountainCarContinuous-v0", 0)
    assert earned(idle, lambda place, speed: "[0.00]") == 0.0
    assert not idle.infos[SEAT]["solved"]


def swing(angle: float, speed: float) -> str:
    """Pumps energy into the pendulum, and balances it near the top."""
    radians = math.radians(angle)
    energy = speed**2 / 6 + 5 * (math.cos(radians) - 1)
    torque = -(10 * radians + 2 * speed) if abs(radians) < 0.5 else math.copysign(2, speed) * (1 if energy < 0 else -1)
    return PENDULUM.actions.write([torque])  # type: ignore[union-attr]


def test_the_pendulum_is_swung_up_by_what_a_player_is_told():
    held = [earned(start("Gymnasium-Pendulum-v1", seed), swing) for seed in range(8)]
    hanging = [earned(start("Gymnasium-Pendulum-v1", seed), lambda *_: "[0.00]") for seed in range(8)]
    assert np.mean(held) > -350
    assert np.mean(hanging) < -700


def test_a_force_is_held_for_some_steps_and_what_they_pay_is_added():
    env, bare = start("Gymnasium-Pendulum-v1", 3), gymnasium.make("Pendulum-v1")
    bare.reset(seed=3)
    env.step("[1.25]")
    paid = sum(float(bare.step(np.array([1.25], np.float32))[1]) for _ in range(HELD))
    assert env.rewards[SEAT] == pytest.approx(paid)
    assert CONTROL[0].reward_range[0] == pytest.approx(-STEPS * WORST_STEP)


def test_what_is_seen_is_told():
    assert pendulum(np.array([0.0, 1.0, -0.25]), 0) == "The angle is 90 degrees, the speed -0.2 radians a second."
    assert car(np.array([-0.5, 0.0125]), 0) == "The car is at -0.50, its speed 0.013 a step."


# -- views of one's own ------------------------------------------------------------------------------------------------

SETTINGS = Settings((Setting("left", -1.0, 1.0, 1), Setting("right", 0.0, 0.5, 2)))


class Balance(gymnasium.Env[Any, Any]):
    """Three moves, each paying 1 where its two numbers are the same."""

    observation_space = spaces.Discrete(4)
    action_space = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 0.5], np.float32))

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        self.moves = 0
        return 0, {}

    def step(self, action: Any):
        assert self.action_space.contains(action)
        self.moves += 1
        return self.moves, float(abs(action[0] - action[1]) < 1e-6), self.moves == 3, False, {}


def balance(settings: Settings = SETTINGS) -> Any:
    view = TextView("Weigh.", settings, lambda moves, seat: f"Move {moves}.")
    return gymnasium_world("Balance-v0", Balance, view, horizon=6, reward_range=(0.0, 3.0), seeded=False)


def test_a_vector_of_numbers_is_a_move():
    assert check_env(balance()).passed
    env = balance().make()
    env.reset(seed=0)
    env.step("[0.5, 0.50]")
    assert env.rewards[SEAT] == 1.0
    env.step("[0.5, 0.60]")
    assert env.observe(SEAT)["text"] == "0.60 is outside 0.00 to 0.50, the bounds of right."
    env.step("[0.5, 0.40]")
    assert env.rewards[SEAT] == 0.0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(SETTINGS.parts[:1]), "and its view has numbers, which need a Box of (1,)"),
        (
            Settings((Setting("left", -2.0, 1.0, 1), SETTINGS.parts[1])),
            "Balance-v0 takes left from -1 to 1, and its view lets player_0 write -2.0 to 1.0",
        ),
    ],
)
def test_a_view_that_does_not_fit_is_one_sentence(settings: Settings, sentence: str):
    with pytest.raises(GameError) as caught:
        balance(settings).make().reset(seed=0)
    assert sentence in str(caught.value)


def test_numbers_are_no_names_of_discrete_actions():
    view = TextView("Rules.", SETTINGS, lambda seen, seat: "")
    spec = aec_world("Countdown-v0", Countdown, view, seats=2, horizon=10, reward_range=(-1.0, 1.0))
    with pytest.raises(GameError, match=r"^Countdown-v0 gives ann the actions Discrete\(2.*and its view has numbers"):
        spec.make().reset(seed=0)
