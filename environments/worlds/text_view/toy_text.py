"""Gymnasium's toy text environments (https://gymnasium.farama.org/environments/toy_text/), by their text views."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import gymnasium_world

STEPS = 50
"""Moves after which a taxi ride or a walk is stopped; a good one takes at most 18 (the taxi) and 13 (the cliff)."""
STOPS = {"Red": (1, 1), "Green": (1, 5), "Yellow": (5, 1), "Blue": (5, 4)}
"""Where the taxi's passengers come from and go to: row and column."""


def _gym(name: str, **options: Any) -> Any:
    import gymnasium

    return gymnasium.make(name, disable_env_checker=True, **options)


def taxi(state: Any, seat: int) -> str:
    """`state` is a number below 500: ((row · 5 + column) · 5 + passenger) · 4 + destination."""
    rest, destination = divmod(int(state), 4)
    place, passenger = divmod(rest, 5)
    row, column = divmod(place, 5)
    stops = [f"{name} (row {at[0]}, column {at[1]})" for name, at in STOPS.items()]
    waiting = "sits in the taxi" if passenger == len(stops) else f"waits at {stops[passenger]}"
    return (
        f"The taxi is at row {row + 1}, column {column + 1}. "
        f"The passenger {waiting} and wants to go to {stops[destination]}."
    )


def cliff(state: Any, seat: int) -> str:
    row, column = divmod(int(state), 12)
    return f"You are at row {row + 1}, column {column + 1}."


def lake(size: str, state: Any, seat: int) -> str:
    """The map with the player as @."""
    from gymnasium.envs.toy_text.frozen_lake import MAPS

    rows = [list(row) for row in MAPS[size]]
    row, column = divmod(int(state), len(rows))
    under, rows[row][column] = rows[row][column], "@"
    fate = {"H": " You have fallen into a hole.", "G": " You have reached the goal."}.get(under, "")
    return "\n".join([*map("".join, rows), f"You are at row {row + 1}, column {column + 1}.{fate}"])


def blackjack(state: Any, seat: int) -> str:
    total, dealer, ace = map(int, np.asarray(state))
    shown = "an ace" if dealer == 1 else str(dealer)
    held = " (an ace of yours counts as 11)" if ace else ""
    bust = " That is more than 21." if total > 21 else ""
    return f"Your cards add up to {total}{held}.{bust} The dealer shows {shown}."


TAXI = (
    "You drive a taxi on a grid of 5 rows and 5 columns; row 1 is in the north, column 1 in the west. Walls block the "
    "way between columns 2 and 3 in rows 1 and 2, and between columns 1 and 2 and columns 3 and 4 in rows 4 and 5. "
    "Fetch the passenger, drive to the destination and set the passenger down there. Every move costs 1; setting the "
    f"passenger down at the destination pays 20 and ends the ride, as do {STEPS} moves."
)
RAIN = " It rains: a drive goes where you meant it to 8 times in 10, and else to one side of that."
CLIFF = (
    "You walk on a grid of 4 rows and 12 columns. You start at row 4, column 1; the goal is row 4, column 12. Between "
    "them row 4 is a cliff. A move costs 1; one onto the cliff costs 100 and takes you back to the start. The walk "
    f"ends at the goal, or after {STEPS} moves."
)
ICE = " The ground is slippery: a step goes where you meant it to one time in three, and else to one side of that."
LAKE = (
    "You walk over a frozen lake from S to the goal G. F is ice that holds, H is a hole: in a hole the walk is over. "
    "The goal pays 1, all else nothing."
)
BLACKJACK = (
    "One hand of blackjack. Number cards count what they show, face cards 10, an ace 11 as long as that does not take "
    "you over 21, else 1. Hit takes another card; above 21 you lose at once. Stick stops; then the dealer, one of "
    "whose two cards you see, takes cards up to 17 or more. Whoever is nearer to 21 wins; two cards that make 21 win "
    "against a dealer who does not have the same. A win pays 1, a draw 0, a loss -1."
)


def _at_the_end(total: float, ended: bool) -> bool:
    return ended


def _taxi(id: str, difficulty: int, summary: str, weather: str = "", **options: Any) -> EnvSpec:
    actions = ("south", "north", "east", "west", "pick up", "set down")
    make: Callable[[], Any] = partial(_gym, "Taxi-v4", max_episode_steps=STEPS, **options)
    return gymnasium_world(
        id, make, TextView(TAXI + weather, actions, taxi, _at_the_end), horizon=2 * STEPS,
        reward_range=(-float(STEPS), 15.0), family="Gymnasium-Taxi", difficulty=difficulty, summary=summary,
    )  # fmt: skip


def _cliff(name: str, difficulty: int, summary: str, ground: str = "") -> EnvSpec:
    view = TextView(CLIFF + ground, ("up", "right", "down", "left"), cliff, _at_the_end)
    return gymnasium_world(
        f"Gymnasium-{name}", partial(_gym, name, max_episode_steps=STEPS), view, horizon=2 * STEPS,
        reward_range=(-100.0 * STEPS, -13.0), family="Gymnasium-CliffWalking", difficulty=difficulty, summary=summary,
        seeded=bool(ground),
    )  # fmt: skip


def _lake(name: str, difficulty: int, size: str, steps: int) -> EnvSpec:
    """`steps` are Gymnasium's own limit for a lake of that size."""
    view = TextView(
        f"{LAKE}{ICE} The walk ends after {steps} steps at the latest.",
        ("left", "down", "right", "up"),
        partial(lake, size),
    )
    return gymnasium_world(
        f"Gymnasium-{name}", partial(_gym, name), view, horizon=2 * steps, reward_range=(0.0, 1.0),
        family="Gymnasium-FrozenLake", difficulty=difficulty,
        summary=f"Cross a slippery lake of {size} fields; the goal pays 1.",
    )  # fmt: skip


TOY_TEXT: tuple[EnvSpec, ...] = (
    _taxi("Gymnasium-Taxi-v4", 0, "Fetch a passenger and drive to the destination; a move costs 1, arriving pays 20."),
    _taxi(
        "Gymnasium-Taxi-v4-rainy", 1, "The taxi in the rain: one drive in five slips to the side.", RAIN, is_rainy=True
    ),
    _cliff("CliffWalking-v1", 0, "Walk along a cliff to the goal; the shortest way pays -13."),
    _cliff("CliffWalkingSlippery-v1", 1, "Walk along a cliff on slippery ground.", ICE),
    _lake("FrozenLake-v1", 0, "4x4", 100),
    _lake("FrozenLake8x8-v1", 1, "8x8", 200),
    gymnasium_world(
        "Gymnasium-Blackjack-v1", partial(_gym, "Blackjack-v1"), TextView(BLACKJACK, ("stick", "hit"), blackjack),
        horizon=42, reward_range=(-1.0, 1.0), summary="One hand against a dealer who stands at 17.",
    ),
)  # fmt: skip
