"""Setpoint pays what its closed form says, and tells the right numbers at the end only."""

from __future__ import annotations

import numpy as np
import pytest

from environments.conformance.check_env import check_env
from environments.diagnostics.setpoint import RIGHT_HEAT, RIGHT_TILT, SETPOINTS, pay, settings
from environments.registry import ENVIRONMENTS
from environments.spec import ChoiceError

SEAT = "player_0"


def game(id: str, *moves: str):
    env = ENVIRONMENTS[id].make()
    env.reset(seed=0)
    total = 0.0
    for move in moves:
        env.step(move)
        total += env.rewards[SEAT]
    return env, total


@pytest.mark.parametrize("id", [*(spec.id for spec in SETPOINTS), "Setpoint-v0:decimals=0", "Setpoint-v0:decimals=4"])
def test_it_keeps_all_promises(id: str):
    assert check_env(ENVIRONMENTS[id]).passed


@pytest.mark.parametrize("value", ["0.0", "4.3", "5.0", "7.3", "7.4", "10.0"])
def test_a_return_is_the_mean_of_what_its_numbers_pay(value: str):
    assert game("Setpoint-v0", *[f"[{value}]"] * 4)[1] == pytest.approx(float(pay(float(value), RIGHT_HEAT)))
    assert game("Setpoint-v0", f"[{value}]", "[7.3]", "[7.3]", "[7.3]")[1] == pytest.approx(
        0.75 + float(pay(float(value), RIGHT_HEAT)) / 4
    )


def test_of_a_pair_each_knob_pays_half():
    assert game("Setpoint-v0-pair", *["[7.3, -3.4]"] * 4)[1] == pytest.approx(1.0)
    assert game("Setpoint-v0-pair", *["[7.3, 5.0]"] * 4)[1] == pytest.approx(0.5)
    expected = float(pay(6.1, RIGHT_HEAT) + pay(-3.0, RIGHT_TILT)) / 2
    assert game("Setpoint-v0-pair", *["[6.1, -3.0]"] * 4)[1] == pytest.approx(expected)


def test_what_is_right_there_is_worthless_in_the_inverted_game():
    assert game("Setpoint-v0-inverted", *["[7.3]"] * 4)[1] == 0.0
    assert game("Setpoint-v0", *["[1.8]"] * 4)[1] == 0.0


def test_the_docstring_says_what_chance_earns():
    values = [float(text) for text in settings(1).parts[0].texts]
    assert pay(np.array(values), RIGHT_HEAT).mean() == pytest.approx(0.296, abs=5e-4)
    assert float(pay(5.0, RIGHT_HEAT)) == pytest.approx(0.233, abs=5e-4)


def test_the_right_number_is_told_at_the_end_only():
    env, _ = game("Setpoint-v0", "[1.0]", "[1.0]", "[1.0]")
    assert "7.3" not in env.infos[SEAT]["rules"] + env.observe(SEAT)["text"]
    env.step("[7.3]")
    assert env.infos[SEAT]["reason"] == "The right heat was 7.3; yours was 4.72 off on average."


def test_an_answer_out_of_bounds_is_told_why_and_a_second_one_ends_the_game():
    env, _ = game("Setpoint-v0", "[12.0]")
    assert env.observe(SEAT)["text"].startswith("12.0 is outside 0.0 to 10.0, the bounds of heat. Round 1 of 4.")
    env.step("[7.30]")
    assert env.terminations[SEAT]


def test_precision_is_chosen_after_the_colon():
    env, total = game("Setpoint-v0:decimals=3", *["[7.300]"] * 4)
    assert total == pytest.approx(1.0)
    assert env.infos[SEAT]["grammar"].accepts("[10.000]")
    for wrong in ("decimals=7", "decimals=x", "steps=3", ""):
        with pytest.raises(ChoiceError, match="write decimals=0 to decimals=6"):
            ENVIRONMENTS[f"Setpoint-v0:{wrong}"]
