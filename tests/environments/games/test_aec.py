"""PettingZoo's bookkeeping around a `Game`, with made-up games."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pettingzoo import AECEnv

from environments.games.aec import TextEnv
from environments.games.game import Game, GameError, Note, Turn
from environments.grammar import Choices
from environments.worlds.text_arena.game import TextArenaGame, build

GO = Choices(("[go]", "[stop]"))


class Scripted:
    """Hands out the turns it was given, whatever is played."""

    def __init__(self, *turns: Turn, rules: tuple[str, ...] = ("Go.",), credit: float = 0.0) -> None:
        self.turns, self.rules, self.credit = iter(turns), rules, credit

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        return self.rules, Turn(0, ((Note(f"game {seed}"),),) * len(self.rules))

    def play(self, action: str) -> Turn:
        return next(self.turns)

    def cut_off(self) -> tuple[float, ...]:
        return (self.credit,) * len(self.rules)


def env(game: Callable[[], Game], seats: int = 1, horizon: int = 5, **options) -> TextEnv:
    return TextEnv(game, id="Fake-v0", seats=seats, grammar=GO, horizon=horizon, reward_range=(0.0, 1.0), **options)


def going(pay: float = 0.0) -> Turn:
    return Turn(0, ((),), rewards=(pay,))


def ending(pay: float) -> Turn:
    return Turn(0, ((),), rewards=(pay,), over=True, reason="The end.")


def test_it_is_an_aec_environment_with_a_name():
    made = env(lambda: Scripted(ending(1)))
    assert isinstance(made, AECEnv)
    assert str(made) == "Fake-v0"


@pytest.mark.parametrize("pay", [1.5, -0.5])
def test_pay_out_of_range_is_an_error_that_names_the_game(pay: float):
    made = env(lambda: Scripted(ending(pay)))
    made.reset(seed=0)
    with pytest.raises(GameError, match=r"Fake-v0 paid player_0 .*outside its declared range 0.0 to 1.0"):
        made.step("[go]")


@pytest.mark.parametrize("pay", ["lots", float("nan"), None])
def test_pay_that_is_no_number_is_an_error(pay: object):
    made = env(lambda: Scripted(ending(pay)))  # type: ignore[arg-type]
    made.reset(seed=0)
    with pytest.raises(GameError, match="no finite number"):
        made.step("[go]")


def test_the_range_binds_the_sum_not_each_payment():
    made = env(lambda: Scripted(going(0.6), ending(0.6)))
    made.reset(seed=0)
    made.step("[go]")
    with pytest.raises(GameError, match=r"1\.2"):
        made.step("[go]")


def test_at_the_horizon_an_episode_is_cut_off_with_the_games_credit():
    made = env(lambda: Scripted(*[going()] * 9, credit=0.3), horizon=3)
    made.reset(seed=0)
    for _ in range(2):
        made.step("[go]")
    assert not made.truncations["player_0"]
    made.step("[go]")
    assert made.truncations["player_0"]
    assert not made.terminations["player_0"]
    assert made.last()[1] == 0.3
    assert made.infos["player_0"]["reason"] == "Stopped after 3 moves."


def test_a_real_game_cut_off_pays_its_partial_credit():
    made = env(lambda: TextArenaGame(lambda: build("FrozenLake-v0"), "FrozenLake-v0", 1, lambda _: None), horizon=1)
    made.reset(seed=1)
    made.step("[down]")
    assert made.truncations["player_0"]
    assert made.rewards["player_0"] == pytest.approx(1 / 6)


def test_what_is_told_gathers_until_the_seat_acts():
    turns = (
        Turn(1, ((Note("a"), Note("board 1", board=True)), (Note("b"),))),
        Turn(0, ((Note("c"), Note("board 2", board=True)), ())),
        Turn(0, ((), (Note("d"),))),
    )
    made = env(lambda: Scripted(*turns, rules=("First.", "Second.")), seats=2)
    made.reset(seed=4)
    made.step("[go]")
    made.step("[go]")
    assert made.observe("player_0") == {"text": "a\nc\nboard 2"}
    assert made.observe("player_1") == {"text": "Your move."}
    made.step("[go]")
    assert made.observe("player_1") == {"text": "d"}


def test_reset_goes_on_with_a_row_that_the_seed_began():
    first, second = env(Scripted), env(Scripted)
    said: list[list[str]] = []
    for made in (first, second):
        made.reset(seed=7)
        row = [made.observe("player_0")["text"]]
        for _ in range(2):
            made.reset()
            row.append(made.observe("player_0")["text"])
        said.append(row)
    assert said[0] == said[1]
    assert said[0][0] == "game 7"
    assert len(set(said[0])) == 3


def test_actions_are_text_or_none_for_those_who_are_done():
    made = env(lambda: Scripted(ending(1)))
    made.reset(seed=0)
    with pytest.raises(ValueError, match="an action is a text, not NoneType"):
        made.step(None)
    made.step("[go]")
    made.step(None)
    assert made.agents == []


def test_long_gaps_and_long_texts_do_not_reach_the_game():
    heard: list[str] = []

    class Listening(Scripted):
        def play(self, action: str) -> Turn:
            heard.append(action)
            return going()

    made = env(Listening, horizon=9)
    made.reset(seed=0)
    for action in ("a  b", f"a{' ' * 5000}b", "a" * 5000):
        made.step(action)
    assert heard == ["a  b", "a b", "a" * 1000]


def test_samples_follow_the_grammar_of_the_moment():
    only = Turn(0, ((),), grammar=Choices(("[stop]",)))
    made = env(lambda: Scripted(only))
    space = made.action_space("player_0")
    assert space.sample() in GO.options
    made.reset(seed=0)
    made.step("[go]")
    assert made.action_space("player_0") is space
    assert space.sample() == "[stop]"
    assert space.contains("anything, even\n🙂")
    assert not space.contains(3)


def test_render_shows_the_seat_to_move():
    made = env(Scripted, render_mode="ansi")
    assert made.render() is None
    made.reset(seed=2)
    assert made.render() == "player_0\n\nGo.\n\ngame 2"
    made.close()
    assert made.render() is None
