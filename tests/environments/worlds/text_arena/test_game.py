"""The adapter over real TextArena games: history, illegal moves, pay, seats, and the fence around `random`."""

from __future__ import annotations

import copy
import hashlib
import os
import random
import re
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.conformance.playthrough import play_randomly, random_moves
from environments.games.aec import LONGEST_ACTION
from environments.games.game import GameError
from environments.grammar import Choices, Regex
from environments.registry import ENVIRONMENTS
from environments.worlds.text_arena.game import TextArenaGame, build

CODES = [f"[{' '.join(map(str, code))}]" for code in permutations(range(1, 7), 4)]
ALL_LEGAL = [  # every move these grammars offer is legal
    "GuessTheNumber-v0", "FrozenLake-v0", "FrozenLake-v0-random", "Bandit-v0", "Blackjack-v0", "Secretary-v0",
    "2048-v0-small", "TowerOfHanoi-v0", "TicTacToe-v0", "ConnectFour-v0", "Nim-v0", "KuhnPoker-v0",
    "IteratedPrisonersDilemma-v0", "LiarsDice-v0-small", "LiarsDice-v0",
]  # fmt: skip
LISTED = ["2048-v0-small", "FrozenLake-v0", "TicTacToe-v0", "KuhnPoker-v0", "GuessTheNumber-v0"]
"""Games whose spec lists every move, so that those not on offer can be tried."""


def start(id: str, seed: int = 1):
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    return env


def text(env, seat: str = "player_0") -> str:
    return env.observe(seat)["text"]


def pegs(said: str) -> float:
    black, white = map(int, re.findall(r"(\d) (?:black|white)", said))
    return (black + white / 2) / 4


# -- illegal moves and pay ---------------------------------------------------------------------------------------------


def test_the_first_illegal_move_costs_no_turn_and_is_told():
    env = start("Mastermind-v0")
    env.step("let me think")
    assert env.infos["player_0"]["invalid"] == 1
    assert "invalid move" in text(env)
    assert env.rewards["player_0"] == 0
    made = 0
    for code in CODES:
        env.step(code)
        made += 1
        if env.terminations["player_0"]:
            break
    assert made == 21 or env.infos["player_0"]["solved"]


def test_a_second_illegal_move_in_a_row_ends_the_game_with_partial_credit():
    env = start("Mastermind-v0", seed=3)
    env.step(CODES[0])
    credit = pegs(text(env))
    env.step("[9 9 9 9]")
    env.step(CODES[0])  # a repeated guess is illegal too
    assert env.terminations["player_0"]
    assert env.rewards["player_0"] == credit
    assert env.infos["player_0"] | {"grammar": None, "rules": ""} == {
        "rules": "", "grammar": None, "invalid": 2, "solved": False,
        "reason": "Invalid Move: You have already guessed [1, 2, 3, 4]. Please try a different guess.",
    }  # fmt: skip


def test_two_illegal_moves_that_are_not_in_a_row_cost_nothing():
    env = start("Mastermind-v0", seed=3)
    for code in CODES[:5]:
        env.step("?")
        env.step(code)
    assert not env.terminations["player_0"]
    assert env.infos["player_0"]["invalid"] == 5


def test_solving_pays_one():
    env = start("GuessTheNumber-v0", seed=8)
    low, high = 1, 20
    while not env.terminations["player_0"]:
        middle = (low + high) // 2
        env.step(f"[{middle}]")
        low, high = (low, middle - 1) if "lower" in text(env) else (middle + 1, high)
    assert env.rewards["player_0"] == 1
    assert env.infos["player_0"]["solved"]
    assert "Congratulations" in env.infos["player_0"]["reason"]


def test_an_overlong_action_is_cut():
    env = start("TicTacToe-v0")
    env.step("[4]" + "x" * 10 * LONGEST_ACTION)
    assert len(text(env, "player_1")) < LONGEST_ACTION + 400


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["Mastermind-v0", "TicTacToe-v0", "SimpleNegotiation-v0", "LiarsDice-v0-small", "Doors-v0"]),
       st.lists(st.text() | st.from_regex(r"\[[A-Za-z0-9 :,>-]{0,12}\]"), max_size=6))  # fmt: skip
def test_no_text_breaks_a_game(id: str, actions: list[str]):
    env = start(id)
    for action in actions:
        if env.terminations[env.agent_selection]:
            break
        env.step(action)
        assert isinstance(text(env, env.agent_selection), str)


# -- what seats are told ----------------------------------------------------------------------------------------------


def test_rules_are_told_once_and_the_own_action_is_left_out():
    env = start("Mastermind-v0")
    rules = env.infos["player_0"]["rules"]
    assert rules.startswith("You are playing Mastermind.")
    assert text(env) == "Your move."
    env.step(f"my guess is {CODES[0]}")
    assert "my guess" not in text(env)
    assert rules not in text(env)
    assert env.infos["player_0"]["rules"] == rules
    assert text(env) == text(env)


def test_each_seat_hears_what_happened_since_its_own_last_move():
    env = start("LiarsDice-v0")
    for bid in ("[Bid: 1, 2]", "[Bid: 1, 3]", "[Bid: 2, 3]"):
        env.step(bid)
    assert env.agent_selection == "player_0"
    told = text(env)
    assert "[Player 1] [Bid: 1, 3]" in told
    assert "[Player 2] [Bid: 2, 3]" in told
    assert "[Player 0] [Bid" not in told
    env.step("[Bid: 3, 3]")
    assert "[Bid: 2, 3]" not in text(env, "player_0")
    assert "[Player 2]" not in text(env, "player_2")


def test_private_dice_stay_private():
    env = start("LiarsDice-v0")
    hands = {text(env, seat) for seat in env.possible_agents}
    assert len(hands) == 3


def test_only_the_newest_board_is_shown():
    env = start("TicTacToe-v0")
    env.step("[4]")
    env.step("[0]")
    assert text(env).count("Current Board") == 1
    assert " X | 1 | 2" in text(env)


def test_buttons_are_explained():
    assert "[button]" in start("Bandit-v0").infos["player_0"]["rules"]


# -- several seats ----------------------------------------------------------------------------------------------------


def test_two_seats_win_and_lose():
    env = start("TicTacToe-v0")
    for move in ("[0]", "[3]", "[1]", "[4]", "[2]"):
        env.step(move)
    assert env.rewards == {"player_0": 1, "player_1": -1}
    assert env.infos["player_0"]["solved"]
    assert not env.infos["player_1"]["solved"]
    assert "has won" in text(env, "player_1")


@pytest.mark.parametrize("id", [id for id, spec in ENVIRONMENTS.items() if spec.seats > 1])
def test_what_some_win_others_lose(id: str):
    spec = ENVIRONMENTS[id]
    for seed in range(5):
        play = play_randomly(spec.make(), seed, spec.seats * (spec.horizon + 1))
        assert len(play.ends) == spec.seats
        assert sum(play.total(seat) for seat in play.ends) == pytest.approx(0)


# -- legal moves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ALL_LEGAL)
def test_every_move_on_offer_is_legal(id: str):
    spec = ENVIRONMENTS[id]
    for seed in range(8):
        play = play_randomly(spec.make(), seed, spec.seats * (spec.horizon + 1))
        assert all(info["invalid"] == 0 for info in play.ends.values())


@pytest.mark.parametrize("id", LISTED)
def test_every_legal_move_is_on_offer(id: str):
    spec, tried = ENVIRONMENTS[id], 0
    assert isinstance(spec.grammar, Choices)
    for seed in range(3):
        env = start(id, seed)
        for move in random_moves(env, np.random.default_rng(seed)):
            if move.action is None:
                break
            for other in spec.grammar.options:
                if not move.grammar.accepts(other):
                    copied = copy.deepcopy(env)
                    copied.step(other)
                    assert copied.infos[move.seat]["invalid"] == 1
                    tried += 1
    assert tried


def test_masterminds_grammar_has_exactly_the_codes_without_repeats():
    grammar = ENVIRONMENTS["Mastermind-v0"].grammar
    assert isinstance(grammar, Regex)
    accepted = [
        code for number in range(6**4)
        if grammar.accepts(code := f"[{' '.join(str(1 + number // 6**place % 6) for place in range(4))}]")
    ]  # fmt: skip
    assert sorted(accepted) == sorted(CODES)


# -- chance -----------------------------------------------------------------------------------------------------------


def test_the_global_generators_are_left_alone_and_do_not_matter():
    def transcript(noise: int) -> list[str]:
        random.seed(noise)
        env, said = start("Blackjack-v0", 5), []
        for move in random_moves(env, np.random.default_rng(0)):
            random.random()
            said.append(move.observation)
        return said

    outside = random.getstate()
    try:
        assert transcript(1) == transcript(2)
        random.seed(9)
        before = random.getstate()
        start("Blackjack-v0", 7).step("[Hit]")
        assert random.getstate() == before
    finally:
        random.setstate(outside)


def test_the_fence_holds_when_a_game_crashes():
    def crash(action: str):
        random.random()
        raise ZeroDivisionError("boom")

    def crashing():
        game = build("Blackjack-v0")
        game.step = crash
        return game

    game = TextArenaGame(crashing, "Crash-v0", 1, lambda _: None)
    game.begin(3)
    before = random.getstate()
    with pytest.raises(GameError, match="Crash-v0 crashed on the action 'go'"):
        game.play("go")
    assert random.getstate() == before


def test_games_do_not_depend_on_the_hash_seed():
    """The same episodes in processes that iterate over sets in different orders."""
    code = (
        "import hashlib\n"
        "from environments.registry import ENVIRONMENTS\n"
        "from environments.games.game import MissingData\n"
        "from environments.conformance.playthrough import play_randomly\n"
        "digest = hashlib.sha256()\n"
        "for spec in ENVIRONMENTS.values():\n"
        "    if spec.family.startswith('TextWorld'): continue  # slow, and in processes of one hash seed\n"
        "    try:\n"
        "        digest.update(repr(play_randomly(spec.make(), 11, 60)).encode())\n"
        "    except MissingData:\n"
        "        pass\n"
        "print(digest.hexdigest())\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONHASHSEED": number}
        )
        for number in ("1", "2")
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert len(first.strip()) == hashlib.sha256().digest_size * 2
    assert first == second
