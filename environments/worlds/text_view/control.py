"""Two of Gymnasium's classic control environments with continuous actions, by their text views.

https://gymnasium.farama.org/environments/classic_control/. A force that a player writes is held for some steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from environments.games.numbers import Setting, Settings
from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import gymnasium_world

STEPS, HELD = 200, 5
"""Steps of an episode, and how many of them a force is held for: 40 moves."""
WORST_STEP = math.pi**2 + 0.1 * 8**2 + 0.001 * 2**2
"""What a step of the pendulum costs at most: hanging down, at full speed and full torque."""
GOOD_SWING = -300.0
"""Ours, for Gymnasium says of no return that it solves the pendulum: it has been swung up and held."""


def _held(name: str) -> Any:
    """The environment, every action of which lasts HELD steps, or to the end of the episode; what they pay is added."""
    import gymnasium

    class Held(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            total = 0.0
            for _ in range(HELD):
                seen, reward, terminated, truncated, info = super().step(action)
                total += float(reward)
                if terminated or truncated:
                    break
            return seen, total, terminated, truncated, info  # pyright: ignore[reportPossiblyUnboundVariable]  HELD > 0

    return Held(gymnasium.make(name, disable_env_checker=True, max_episode_steps=STEPS))


def pendulum(state: Any, seat: int) -> str:
    """`state` is cosine and sine of the angle from upright (counterclockwise), and the speed in radians a second."""
    cosine, sine, speed = np.asarray(state, float).tolist()
    angle = math.degrees(math.atan2(sine, cosine))
    return f"The angle is {angle:.0f} degrees, the speed {speed:.1f} radians a second."


def car(state: Any, seat: int) -> str:
    """`state` is place and speed along the valley."""
    place, speed = np.asarray(state, float).tolist()
    return f"The car is at {place:.2f}, its speed {speed:.3f} a step."


PENDULUM = TextView(
    "A pendulum hangs on a motor, which is too weak to lift it at once: it has to be swung up and then kept upright. "
    "Angle 0 is upright, 180 and -180 hang down; angle, speed and torque are positive in the same direction. A step "
    "costs the angle squared (in radians) plus 0.1 times the speed squared plus 0.001 times the torque squared; a "
    f"torque is held for {HELD} of the {STEPS} steps.",
    Settings((Setting("torque", -2.0, 2.0, 2),)),
    pendulum,
    lambda total, ended: total >= GOOD_SWING,
)
CAR = TextView(
    "A car stands in a valley; its lowest point is at -0.52, the goal at 0.45 on the right, and the left slope ends at "
    "-1.20. The motor is too weak to drive straight up: take a run-up. A positive force pushes to the right. Reaching "
    f"the goal pays 100 and ends the drive, as do {STEPS} steps; a step costs 0.1 times the force squared, and a force "
    f"is held for {HELD} steps.",
    Settings((Setting("force", -1.0, 1.0, 2),)),
    car,
    lambda total, ended: ended,
)


def _control(name: str, view: TextView, reward_range: tuple[float, float], summary: str) -> EnvSpec:
    make: Callable[[], Any] = partial(_held, name)
    return gymnasium_world(
        f"Gymnasium-{name}",
        make,
        view,
        horizon=2 * STEPS // HELD,
        reward_range=reward_range,
        summary=summary,
    )


CONTROL: tuple[EnvSpec, ...] = (
    _control("Pendulum-v1", PENDULUM, (-STEPS * WORST_STEP, 0.0), "Swing a pendulum up by torques, which are numbers."),
    _control(
        "MountainCarContinuous-v0", CAR, (-0.1 * STEPS, 100.0), "Drive out of a valley by forces, which are numbers."
    ),
)
