"""Gymnasium's toy texts in words, against the tables of the environments themselves."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from environments.registry import ENVIRONMENTS
from environments.worlds.text_view.toy_text import STEPS, STOPS, TOY_TEXT, blackjack, cliff, lake, taxi

MOVES = {"south": 0, "north": 1, "east": 2, "west": 3, "pick up": 4, "set down": 5}


def start(id: str, seed: int = 0) -> Any:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def inside(env: Any) -> Any:
    """The Gymnasium environment behind a view."""
    return env._game._env._env.unwrapped


def best_way(table: Any, state: int, allowed: Any = lambda state: range(6)) -> list[int]:
    """The shortest way to a final state, by breadth first, over certain transitions."""
    ways, waiting = {state: []}, deque([state])
    while waiting:
        here = waiting.popleft()
        for action in allowed(here):
            ((_, there, reward, done),) = table[here][action]
            if done:
                return [*ways[here], action]
            if there not in ways and reward == -1:
                ways[there] = [*ways[here], action]
                waiting.append(there)
    raise AssertionError("no way")


@pytest.mark.parametrize("seed", range(12))
def test_the_best_ride_is_on_offer_and_solves(seed: int):
    env = start("Gymnasium-Taxi-v4", seed)
    gym = inside(env)
    total = 0.0
    for action in best_way(gym.P, gym.s):
        name = next(name for name, number in MOVES.items() if number == action)
        assert f"[{name}]" in env.infos["player_0"]["grammar"].options
        env.step(f"[{name}]")
        total += env.rewards["player_0"]
    assert env.infos["player_0"]["solved"]
    assert 0 < total <= 15


def test_fifteen_is_the_best_ride_and_eighteen_moves_the_longest_good_one():
    gym = inside(start("Gymnasium-Taxi-v4"))
    begin = [state for state in range(500) if gym.initial_state_distrib[state] > 0]
    lengths = [len(best_way(gym.P, state)) for state in begin]
    assert 21 - min(lengths) == ENVIRONMENTS["Gymnasium-Taxi-v4"].reward_range[1]
    assert max(lengths) == 18
    assert STEPS > 18


def test_taxi_tells_where_everybody_is():
    gym = inside(start("Gymnasium-Taxi-v4"))
    assert [(row - 1, column - 1) for row, column in STOPS.values()] == gym.locs
    assert taxi(gym.encode(3, 1, 2, 0), 0) == (
        "The taxi is at row 4, column 2. The passenger waits at Yellow (row 5, column 1) and wants to go to Red "
        "(row 1, column 1)."
    )
    assert "The passenger sits in the taxi" in taxi(gym.encode(0, 0, 4, 3), 0)


def test_the_rules_name_the_taxis_walls():
    gym = inside(start("Gymnasium-Taxi-v4"))
    walls = {
        (row, column)
        for row in range(5)
        for column in range(4)
        if gym.P[gym.encode(row, column, 0, 1)][MOVES["east"]][0][1] == gym.encode(row, column, 0, 1)
    }
    assert walls == {(0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)}


def test_a_ride_that_is_stopped_is_not_solved():
    env = start("Gymnasium-Taxi-v4")
    total = 0.0
    way = ["[north]", "[south]"] if "[north]" in env.infos["player_0"]["grammar"].options else ["[south]", "[north]"]
    for turn in range(STEPS):
        assert not env.terminations["player_0"]
        env.step(way[turn % 2])
        total += env.rewards["player_0"]
    assert env.terminations["player_0"]
    assert not env.infos["player_0"]["solved"]
    assert total == -STEPS
    assert "Stopped at the limit. It paid -50 in all." in env.observe("player_0")["text"]


def test_the_cliff():
    env = start("Gymnasium-CliffWalking-v1")
    assert env.observe("player_0")["text"] == "You are at row 4, column 1."
    env.step("[right]")
    assert env.rewards["player_0"] == -100
    assert env.observe("player_0")["text"] == "You are at row 4, column 1."
    way = best_way(inside(env).P, 36, lambda state: range(4))
    assert len(way) == 13
    for action in way:
        env.step(f"[{('up', 'right', 'down', 'left')[action]}]")
    assert env.infos["player_0"]["solved"], "though it earned less than the most"
    assert cliff(47, 0) == "You are at row 4, column 12."


def test_the_lake_shows_the_way_and_the_fall():
    env = start("Gymnasium-FrozenLake-v1")
    assert env.observe("player_0")["text"] == "@FFF\nFHFH\nFFFH\nHFFG\nYou are at row 1, column 1."
    assert lake("4x4", 5, 0).endswith("You are at row 2, column 2. You have fallen into a hole.")
    assert lake("4x4", 15, 0) == "SFFF\nFHFH\nFFFH\nHFF@\nYou are at row 4, column 4. You have reached the goal."
    assert len(start("Gymnasium-FrozenLake8x8-v1").observe("player_0")["text"].splitlines()) == 9


@pytest.mark.parametrize(("id", "moves"), [
    ("Gymnasium-FrozenLake-v1", "left down right up"), ("Gymnasium-CliffWalking-v1", "up right down left"),
])  # fmt: skip
def test_the_names_of_the_ways_lead_there(id: str, moves: str):
    """By the table: from a field with neighbours on all sides, the intended way is the named one."""
    gym = inside(start(id))
    columns = 12 if "Cliff" in id else 4
    here = columns + 2
    delta = {"left": -1, "right": 1, "up": -columns, "down": columns}
    for action, name in enumerate(moves.split()):
        ends = gym.P[here][action]
        assert ends[len(ends) // 2][1] == here + delta[name]
        assert ENVIRONMENTS[id].grammar.options[action] == f"[{name}]"  # type: ignore[union-attr]


def test_blackjack():
    assert blackjack((14, 1, 0), 0) == "Your cards add up to 14. The dealer shows an ace."
    assert blackjack((18, 7, 1), 0) == "Your cards add up to 18 (an ace of yours counts as 11). The dealer shows 7."
    assert "That is more than 21." in blackjack((22, 7, 0), 0)
    outcomes = set()
    for seed in range(40):
        env = start("Gymnasium-Blackjack-v1", seed)
        env.step("[stick]")
        outcomes.add((env.rewards["player_0"], env.infos["player_0"]["solved"]))
    assert outcomes == {(1.0, True), (0.0, False), (-1.0, False)}


def test_every_toy_text_is_registered():
    assert {spec.id for spec in TOY_TEXT} <= set(ENVIRONMENTS)
    assert {spec.family for spec in TOY_TEXT} == {
        "Gymnasium-Taxi", "Gymnasium-CliffWalking", "Gymnasium-FrozenLake", "Gymnasium-Blackjack-v1",
    }  # fmt: skip
