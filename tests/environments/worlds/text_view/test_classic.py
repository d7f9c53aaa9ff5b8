"""PettingZoo's classic games in words, against the engines' own states."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from environments.conformance.playthrough import play_randomly
from environments.spec import EnvSpec
from environments.worlds.text_view import classic
from environments.worlds.text_view.classic import CLASSIC

TIC_TAC_TOE, CONNECT_FOUR, LEDUC, TEXAS = CLASSIC


@pytest.fixture(autouse=True)
def extra() -> None:
    pytest.importorskip("rlcard", reason="needs procmem[classic]")
    pytest.importorskip("pygame", reason="needs procmem[classic]")


def start(spec: EnvSpec, seed: int = 0) -> Any:
    env = spec.make()
    env.reset(seed=seed)
    return env


def play(env: Any, *moves: str) -> list[str]:
    """Make these moves; what each seat saw before its own."""
    said = []
    for move in moves:
        said.append(env.observe(env.agent_selection)["text"])
        env.step(move)
    return said


def test_tic_tac_toe_from_both_sides():
    env = start(TIC_TAC_TOE)
    said = play(env, "[a1]", "[b2]", "[a3]", "[c3]", "[a2]")
    assert said[1].startswith("  a b c\n1 O . .\n2 . . .\n3 . . .\n")
    assert said[2].startswith("  a b c\n1 X . .\n2 . O .\n3 . . .\n")
    assert "[a1]" not in said[2]
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}
    assert env.observe("player_1")["text"].startswith("  a b c\n1 O . .\n2 O X .\n3 O . X\nThe game is over.")
    assert env.infos["player_0"]["solved"]


def test_connect_four_from_both_sides():
    env = start(CONNECT_FOUR)
    said = play(env, "[4]", "[4]", "[1]", "[4]", "[2]", "[5]", "[3]")
    assert said[2].startswith("1 2 3 4 5 6 7\n" + ". . . . . . .\n" * 4 + ". . . O . . .\n. . . X . . .\n")
    assert said[3].splitlines()[5:7] == [". . . X . . .", "O . . O . . ."]
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}


def test_a_full_column_is_not_on_offer():
    env = start(CONNECT_FOUR)
    play(env, *["[2]"] * 6)
    assert env.infos["player_0"]["grammar"].options == ("[1]", "[3]", "[4]", "[5]", "[6]", "[7]")


@pytest.mark.parametrize("seed", range(30))
def test_leduc_tells_its_cards_and_chips(seed: int):
    env = start(LEDUC, seed)
    state = env._game._env.unwrapped.env.game
    rng = np.random.default_rng(seed)
    while not env.terminations[env.agent_selection]:
        seat = int(env.agent_selection[-1])
        own, other = state.players[seat], state.players[1 - seat]
        public = "still hidden" if state.public_card is None else state.public_card.rank
        table = f"the public card is {public}"
        told = env.observe(env.agent_selection)["text"].splitlines()
        assert told[0] == (
            f"Your card is {own.hand.rank}; {table}. "
            f"Chips in the pot: {own.in_chips} of yours, {other.in_chips} of your opponent's."
        )
        legal = [option for option in env.infos[env.agent_selection]["grammar"].options if option != "[fold]"]
        assert {f"[{action}]" for action in state.get_legal_actions()} == {*legal, "[fold]"}
        env.step(legal[int(rng.integers(len(legal)))])


@pytest.mark.parametrize("seed", range(30))
def test_texas_tells_its_cards_and_raises(seed: int):
    env = start(TEXAS, seed)
    state = env._game._env.unwrapped.env.game
    rng = np.random.default_rng(seed)
    seen: list[str] = []
    while not env.terminations[env.agent_selection]:
        seat = int(env.agent_selection[-1])
        cards = {f"{card.rank}{card.suit.lower()}".replace("T", "10") for card in
                 (*state.players[seat].hand, *state.public_cards)}  # fmt: skip
        told = env.observe(env.agent_selection)["text"].splitlines()[0]
        assert set(told.partition("): ")[2].partition(".")[0].split()) == cards
        assert told.startswith(f"We are {classic.ROUNDS[state.round_counter]}.")
        raises = state.history_raise_nums
        assert ("Raises so far: none." in told) == (not any(raises))
        for number, name in zip(raises, classic.ROUNDS, strict=True):
            assert (f"{number} {name}" in told) == (number > 0)
        seen.append(told)
        legal = [option for option in env.infos[env.agent_selection]["grammar"].options if option != "[fold]"]
        env.step(legal[int(rng.integers(len(legal)))])
    assert len(seen) >= 8


def test_the_bounds_of_leduc_are_those_of_its_whole_tree():
    """Every line of play of a few deals: the longest takes 4 moves a seat, the dearest pays 7."""
    longest, dearest = 0, 0.0

    def follow(line: tuple[str, ...], seed: int) -> None:
        nonlocal longest, dearest
        env = start(LEDUC, seed)
        moved = {"player_0": 0, "player_1": 0}
        for move in line:
            moved[env.agent_selection] += 1
            env.step(move)
        seat = env.agent_selection
        if env.terminations[seat]:
            longest = max(longest, *moved.values())
            dearest = max(dearest, *map(abs, env.rewards.values()))
            assert sum(env.rewards.values()) == 0
            assert [env.infos[each]["solved"] for each in env.agents] == [env.rewards[each] > 0 for each in env.agents]
            return
        for option in env.infos[seat]["grammar"].options:
            follow((*line, option), seed)

    for seed in range(3):
        follow((), seed)
    assert (2 * longest, dearest) == (LEDUC.horizon, LEDUC.reward_range[1])


def test_raising_for_ever_pays_the_most_that_texas_pays():
    """Check first and raise back: the longest line, and the dearest."""
    most, longest = 0.0, 0
    for seed in range(20):
        env = start(TEXAS, seed)
        moved = {"player_0": 0, "player_1": 0}
        fresh = True
        while not env.terminations[env.agent_selection]:
            options = env.infos[env.agent_selection]["grammar"].options
            moved[env.agent_selection] += 1
            move = next(
                option for option in ("[check]" if fresh else "", "[raise]", "[call]", "[check]") if option in options
            )
            fresh = move == "[call]"
            env.step(move)
        most, longest = max(most, *env.rewards.values()), max(longest, *moved.values())
    assert most == TEXAS.reward_range[1]
    assert 2 * longest <= TEXAS.horizon


@pytest.mark.parametrize("spec", CLASSIC, ids=lambda spec: spec.id)
def test_what_one_wins_the_other_loses(spec: EnvSpec):
    env = spec.make()
    for seed in range(20):
        episode = play_randomly(env, seed, 200)
        first, second = (episode.total(seat) for seat in env.possible_agents)
        assert first == -second


def test_different_seeds_deal_different_cards():
    envs = [start(TEXAS, seed) for seed in range(8)]
    assert len({env.observe(env.agent_selection)["text"] for env in envs}) == 8


@pytest.mark.parametrize("missing", ["pygame", "rlcard"])
def test_without_the_extra_there_is_one_sentence(missing: str):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from environments.games.game import MissingData\n"
        "from environments.registry import ENVIRONMENTS\n"
        "try: ENVIRONMENTS['PettingZoo-LeducHoldem-v4'].make()\n"
        "except MissingData as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"PettingZoo-LeducHoldem-v4 needs a package that is not here (import of {missing} halted")
    assert said.endswith("): pip install 'procmem[classic]'\n")
    assert said.count("\n") == 1
