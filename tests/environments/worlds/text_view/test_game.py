"""An AEC environment of arrays as a game of texts: turns, pay, masks, and what environments do wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from environments.conformance.check_env import check_env
from environments.games.game import GameError
from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import gymnasium_world
from tests.support.arrays import VIEW, Countdown, Empty, world


def start(spec: EnvSpec, seed: int = 0):
    env = spec.make()
    env.reset(seed=seed)
    return env


def test_an_environment_of_arrays_keeps_all_promises():
    assert check_env(world()).passed


def test_seats_are_numbered_and_told_what_they_see():
    env = start(world())
    assert env.possible_agents == ["player_0", "player_1"]
    assert env.infos["player_0"]["rules"] == VIEW.manual
    assert env.observe("player_0")["text"] == "The heap has 7, says seat 0.\nYou can play: [one], [two]."
    env.step("I take [two].")
    assert env.observe("player_1")["text"] == "The heap has 5, says seat 1.\nYou can play: [one], [two]."


def test_the_mask_is_the_grammar():
    env = start(world())
    for move in ("[two]", "[two]", "[two]"):
        env.step(move)
    assert env.infos["player_1"]["grammar"].options == ("[one]",)
    env.step("[two]")
    assert env.infos["player_1"]["invalid"] == 1
    assert env.observe("player_1")["text"] == "That is no move you can make now. You can play: [one]."
    env.step("[one]")
    assert env.rewards == {"player_0": -1.0, "player_1": 1.0}
    assert [env.infos[seat]["solved"] for seat in env.possible_agents] == [False, True]
    assert env.infos["player_0"]["reason"] == "The game is over. It paid player_0 -1, player_1 +1."


def test_two_invalid_answers_in_a_row_lose_and_the_other_wins():
    env = start(world())
    env.step("[one]")
    env.step("?")
    env.step("[two] or [three]")
    env.step("?")
    env.step("?")
    assert env.rewards == {"player_0": -1.0, "player_1": 1.0}
    assert env.terminations == {"player_0": True, "player_1": True}
    assert "player_0 gave two invalid answers in a row" in env.infos["player_1"]["reason"]


def test_what_is_lost_by_invalid_answers_is_bounded_for_the_others():
    env = start(world(reward_range=(-9.0, 2.0)))
    env.step("?")
    env.step("?")
    assert env.rewards == {"player_0": -9.0, "player_1": 2.0}


def test_a_view_may_say_who_has_won():
    env = start(world(view=replace(VIEW, solved=lambda total, ended: ended and total == -1)))
    for move in ("[two]", "[two]", "[two]", "[one]"):
        env.step(move)
    assert [env.infos[seat]["solved"] for seat in env.possible_agents] == [True, False]


class Three(Countdown):
    """Whoever takes two leaves the game, and the others play on."""

    names = ("ann", "bob", "cid")

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        alive = not self.terminations[agent]
        super().step(action)
        if alive and action == 2 and self.agents and not self.terminations[self.agent_selection]:
            self.terminations[agent] = True
            self._deads_step_first()


def test_a_seat_that_dies_early_is_dismissed_and_the_others_play_on():
    env = start(world(Three, seats=3))
    env.step("[two]")
    assert env.agent_selection == "player_1"
    for seat in ("player_1", "player_2", "player_1", "player_2", "player_1"):
        assert env.agent_selection == seat
        env.step("[one]")
    assert env.terminations == dict.fromkeys(env.possible_agents, True)
    assert env.rewards["player_1"] == 1.0
    assert check_env(world(Three, seats=3)).passed


class Ticking(Countdown):
    """Pays a tenth to everybody at every move."""

    def step(self, action: Any) -> None:
        before = bool(self.agents) and not self.terminations[self.agent_selection]
        super().step(action)
        if before:
            for agent in self.agents:
                self._cumulative_rewards[agent] += 0.1


def test_at_the_horizon_nobody_loses_what_was_paid_already():
    env = start(world(Ticking, horizon=1))
    env.step("[one]")
    env.step("[one]")
    assert env.truncations == {"player_0": True, "player_1": True}
    totals = dict.fromkeys(env.possible_agents, 0.0)
    for seat in env.agent_iter():
        totals[seat] += env.last()[1]
        env.step(None)
    assert totals == pytest.approx({"player_0": 0.2, "player_1": 0.2 - 0.1})


class Maskless(Countdown):
    def observe(self, agent: str) -> Any:
        return self.heap


def test_without_a_mask_every_action_is_legal():
    env = start(world(Maskless))
    assert env.observe("player_0")["text"] == "The heap has 7, says seat 0."
    assert env.infos["player_0"]["grammar"].options == ("[one]", "[two]")


# -- what environments do wrong ----------------------------------------------------------------------------------------


class Wide(Countdown):
    def mask(self, agent: str) -> Any:
        return np.ones(3)


class Dropping(Countdown):
    """Forgets the loser."""

    def finish(self, winner: str) -> None:
        super().finish(winner)
        self.agents = [winner, winner]

    def _was_dead_step(self, action: Any) -> None:
        self.agents = []


class Haunted(Countdown):
    """Asks the dead."""

    def _was_dead_step(self, action: Any) -> None:
        pass


class Nowhere(Countdown):
    def reset(self, seed: int | None = None, options: Any = None) -> None:
        super().reset(seed)
        self.agent_selection = "eve"


class Worthless(Countdown):
    pay: Any = float("nan")

    def finish(self, winner: str) -> None:
        super().finish(winner)
        self._cumulative_rewards = dict.fromkeys(self.agents, self.pay)
        self.rewards = dict.fromkeys(self.agents, 0)


class Priced(Worthless):
    pay = "lots"

    def _accumulate_rewards(self) -> None:
        pass


class Continuous(Countdown):
    def action_space(self, agent: str) -> Any:
        return spaces.Box(0, 1, (1,))


class Crashing(Countdown):
    def finish(self, winner: str) -> None:
        raise ZeroDivisionError("the heap\nfell over")


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        (Empty, {}, "Countdown-v0 leaves ann no action: its action mask is empty"),
        (Wide, {}, "Countdown-v0 gives ann an action mask of shape (3,) for 2 actions"),
        (Dropping, {}, "Countdown-v0 dropped ann without saying that its game is over"),
        (Haunted, {}, "Countdown-v0 asks ann to move, which is not in the game"),
        (Nowhere, {}, "Countdown-v0 asks eve to move, which is not in the game"),
        (Worthless, {}, "Countdown-v0 paid player_0 nan, which is no finite number"),
        (Priced, {}, "Countdown-v0 paid ann 'lots', which is no number"),
        (
            Continuous,
            {},
            "Countdown-v0 gives ann the actions Box(0.0, 1.0, (1,), float32), and its view has names, which",
        ),
        (Crashing, {}, "Countdown-v0 crashed on the action [one]: ZeroDivisionError('the heap\\nfell over')"),
        (Countdown, {"seats": 3}, "Countdown-v0 has 2 agents, not 3"),
        (
            Countdown,
            {"view": TextView("Rules.", ("one", "two", "three"), VIEW.describe)},
            "Countdown-v0 has 2 actions, and its view names 3",
        ),
        (
            Countdown,
            {"view": replace(VIEW, describe=lambda heap, seat: "abc"[heap])},
            "Countdown-v0 crashed on an observation: IndexError('string index out of range')",
        ),
    ],
)
def test_each_fault_is_one_sentence(kind: type[Countdown], facts: dict[str, Any], sentence: str):
    def to_the_end():
        env = start(world(kind, **facts))
        for move in ("[two]", "[two]", "[two]", "[one]"):
            env.step(move)

    with pytest.raises(GameError) as caught:
        to_the_end()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_check_says_the_same_sentence():
    failed = {row.detail for row in check_env(world(Empty)).rows if not row.passed}
    assert failed == {"Countdown-v0 leaves ann no action: its action mask is empty"}


# -- Gymnasium ---------------------------------------------------------------------------------------------------------


class Steps(gymnasium.Env[Any, Any]):
    """Three steps forward pay 1; a step back is masked at the start."""

    observation_space = spaces.Discrete(4)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(2))
        return self.place, {"action_mask": np.array([self.place > 0, True])}

    def step(self, action: Any):
        self.place += 1 if action else -1
        done = self.place == 3
        return self.place, np.float32(done), done, False, {"action_mask": np.array([self.place > 0, True])}


def test_a_gymnasium_environment_has_one_seat():
    view = TextView("Go.", ("back", "on"), lambda place, seat: f"You are at {place}.")
    spec = gymnasium_world("Steps-v0", Steps, view, horizon=20, reward_range=(0.0, 1.0))
    env = start(spec, 2)
    assert env.observe("player_0")["text"] == "You are at 1.\nYou can play: [back], [on]."
    env.step("[back]")
    assert env.infos["player_0"]["grammar"].options == ("[on]",)
    for _ in range(3):
        env.step("[on]")
    assert env.observe("player_0")["text"] == "You are at 3.\nThe game is over. It paid 1 in all."
    assert env.rewards == {"player_0": 1.0}
    assert env.infos["player_0"]["solved"]
    assert check_env(spec).passed
