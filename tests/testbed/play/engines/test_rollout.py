"""The episode loop: who sees what, who is paid what, and what is written down."""

from __future__ import annotations

import anyio
import numpy as np
import pytest

from agents.agent import SkillAgent
from agents.guide import NoGuide
from agents.models.scripted import scripted
from environments.games.game import GameError
from environments.grammar import load
from testbed.config.plugins import find_environment
from testbed.play.engines.rollout import play


def episode(environment: str, seed: int = 1, model: str = "random"):
    spec = find_environment(environment)
    seats = [f"player_{index}" for index in range(spec.seats)]
    players = {
        seat: SkillAgent(seat, scripted(model), NoGuide(), np.random.default_rng([seed, number]))
        for number, seat in enumerate(seats)
    }
    names = {seat: f"agent of {seat}" for seat in seats}

    async def main():
        return await play(spec, players, seed, trial="t", names=names)

    return anyio.run(main)


@pytest.mark.parametrize("environment", ["Mastermind-v0", "GuessTheNumber-v0", "TicTacToe-v0", "LiarsDice-v0-small"])
def test_a_trajectory_tells_the_whole_game(environment):
    spec = find_environment(environment)
    seats = episode(environment)
    assert list(seats) == [f"player_{index}" for index in range(spec.seats)]
    for seat, trajectory in seats.items():
        assert (trajectory.id, trajectory.agent, trajectory.task) == (f"t/{seat}", f"agent of {seat}", environment)
        assert len(trajectory.steps) <= spec.horizon
        assert spec.reward_range[0] <= trajectory.total <= spec.reward_range[1]
        assert trajectory.reason
        for step in trajectory.steps:
            assert step.grammar is not None
            assert load(step.grammar).accepts(step.action)
            assert step.calls == 1
            assert step.prompt_tokens > 0


def test_the_same_seed_is_the_same_episode_and_another_is_another():
    assert episode("Mastermind-v0", 3) == episode("Mastermind-v0", 3)
    assert episode("Mastermind-v0", 3) != episode("Mastermind-v0", 4)


def test_a_reward_belongs_to_the_decision_before_it():
    trajectory = episode("Mastermind-v0")["player_0"]
    assert all(step.reward == 0 for step in trajectory.steps[:-1])
    assert trajectory.steps[-1].reward == trajectory.total


def test_a_seat_that_never_moved_is_paid_all_the_same():
    """Two in a row of rubbish end TicTacToe for the one who said it; the other has won without a move."""

    class Mute(type(scripted("random"))):
        async def generate(self, request):
            from agents.models.model import Completion

            return Completion("rubbish", 1, 1)

    spec = find_environment("TicTacToe-v0")
    mute = Mute("mute", lambda messages, grammar: None)
    players = {seat: SkillAgent(seat, mute, NoGuide(), np.random.default_rng(0)) for seat in ("player_0", "player_1")}

    async def main():
        return await play(spec, players, 0, trial="t", names={"player_0": "a", "player_1": "b"})

    seats = anyio.run(main)
    assert seats["player_1"].steps == ()
    assert (seats["player_0"].total, seats["player_1"].total) == (-1.0, 1.0)
    assert (seats["player_0"].invalid, seats["player_0"].solved, seats["player_1"].solved) == (2, False, True)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ("tests.support.third_party:priceless", "Priceless-v0 paid player_0 nan, which is no finite number"),
        ("tests.support.third_party:endless", "Endless-v0 did not stop player_0 at its horizon of 1 moves"),
        ("tests.support.third_party:deserting", "Deserting-v0 let player_0 go without saying that its game was over"),
        ("tests.support.third_party:stuck", r"Stuck-v0: the action '\[.*\]' did not answer within 0.3 s"),
    ],
)
def test_a_game_that_breaks_its_contract_is_stopped(environment, said):
    with pytest.raises(GameError, match=said):
        episode(environment)


def test_what_a_game_raises_goes_through():
    outcomes = []
    for seed in range(8):
        try:
            outcomes.append(episode("tests.support.third_party:fragile", seed)["player_0"].total)
        except RuntimeError as error:
            outcomes.append(str(error))
    assert "the coin\nrolled away" in outcomes
    assert any(isinstance(outcome, float) for outcome in outcomes)
