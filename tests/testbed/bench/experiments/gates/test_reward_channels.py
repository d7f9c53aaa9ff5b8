"""Rewards that are harder to learn from: every mean is kept, and what is played stays what it was."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from testbed.bench.experiments.closed_forms import LeverPlayer, player, skill_of
from testbed.bench.experiments.gates.calibration import collect
from testbed.bench.experiments.gates.comparison import COMPARED, judge_all
from testbed.bench.experiments.gates.reward_channels import CHANNELS, Late, Noisy, Seldom
from transfer.memory.experience import Trajectory


@pytest.fixture(scope="module")
def played() -> Trajectory:
    form, rng = LeverPlayer(), np.random.default_rng(1)
    skill = skill_of(np.array([3.0, 0.0, 0.0, 0.0, 0.0]))
    (found,) = asyncio.run(collect(player(form), form.environment, skill, env_seeds=[4], rng=rng))
    assert found.total > 0
    return found


@pytest.mark.parametrize("name", CHANNELS)
def test_every_mean_is_kept_and_nothing_but_rewards_changes(played: Trajectory, name: str):
    rng = np.random.default_rng(0)
    told = [CHANNELS[name](played, rng) for _ in range(4000)]
    totals = np.array([each.total for each in told])
    assert totals.mean() == pytest.approx(played.total, abs=4 * totals.std() / np.sqrt(len(totals)) + 1e-9)
    for each in told[:20]:
        assert each.total == pytest.approx(sum(step.reward for step in each.steps))
        assert [step.action for step in each.steps] == [step.action for step in played.steps]


def test_late_and_seldom_pay_at_the_end_alone(played: Trajectory):
    rng = np.random.default_rng(0)
    for channel in (Late(), Seldom(3)):
        told = [channel(played, rng) for _ in range(30)]
        assert all(step.reward == 0 for each in told for step in each.steps[:-1])
    assert {round(Seldom(3)(played, rng).total, 6) for _ in range(60)} == {0.0, round(3 * played.total, 6)}


def test_a_game_is_told_alike_to_every_gate_and_truth_stays():
    compared = {"none": COMPARED["none"], "likelihood": COMPARED["likelihood: ΔJ > 0"]}
    tables = [
        asyncio.run(judge_all(LeverPlayer(), compared, parents=2, seeds=np.random.SeedSequence(3), channel=channel))
        for channel in (None, Noisy(1.0), Noisy(1.0))
    ]
    assert tables[0]["true_gain"].equals(tables[1]["true_gain"])
    assert tables[1].equals(tables[2])
