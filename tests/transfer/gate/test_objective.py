from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.gate.objective import REDUCTIONS, log_ratios, objective, per_step, per_trajectory, surrogate

numbers = st.floats(-5, 5)
owners = st.lists(st.sampled_from("abc"), min_size=1, max_size=20)


@given(owners, st.sampled_from(sorted(REDUCTIONS)))
def test_weights_add_up_to_one(names, reduction):
    assert REDUCTIONS[reduction](names).sum() == pytest.approx(1.0)


def test_per_trajectory_is_the_mean_of_means():
    terms = np.array([1.0, 3.0, 10.0])
    assert per_trajectory(["x", "x", "y"]) @ terms == pytest.approx((2 + 10) / 2)
    assert per_step(["x", "x", "y"]) @ terms == pytest.approx(14 / 3)


@given(st.lists(numbers, min_size=1, max_size=12), st.sampled_from(sorted(REDUCTIONS)))
def test_an_unchanged_skill_has_the_mean_advantage_as_objective(advantages, reduction):
    names = [str(index % 3) for index in range(len(advantages))]
    found = objective(
        np.zeros(len(advantages)), np.array(advantages), names, reduction=REDUCTIONS[reduction], clip=0.2, noise_nats=0
    )
    assert found.change == pytest.approx(0.0)
    assert found.after == pytest.approx(REDUCTIONS[reduction](names) @ np.array(advantages))


@given(numbers, numbers)
def test_clip_never_rewards_going_further_than_epsilon(log_ratio, advantage):
    term = surrogate(np.exp([log_ratio]), np.array([advantage]), 0.2)[0]
    assert term <= (1.2 if advantage > 0 else 0.8) * advantage + 1e-12
    assert term <= math.exp(log_ratio) * advantage + 1e-12


def test_clipped_surrogate_by_hand():
    ratios, advantages = np.array([2.0, 0.5, 2.0, 0.5]), np.array([1.0, 1.0, -1.0, -1.0])
    assert surrogate(ratios, advantages, 0.2) == pytest.approx([1.2, 0.5, -2.0, -0.8])


def test_unusable_likelihoods_give_no_ratio():
    inf, nan = math.inf, math.nan
    old = np.array([-1.0, -inf, nan, -1.0, -1.0, -2.0, -inf])
    new = np.array([-1.0, -1.0, -1.0, nan, -inf, -300.0, -inf])
    found = log_ratios(old, new)
    assert found[0] == 0
    assert np.isnan(found[[1, 2, 3, 6]]).all()
    assert found[4] == found[5] == -10  # ruled out by the new skill: a ratio of nearly zero


def test_unusable_steps_are_left_out_of_both_sides():
    logs = np.array([0.0, math.nan, 0.0])
    found = objective(logs, np.array([1.0, 100.0, 3.0]), ["x", "x", "y"], reduction=per_step, clip=0.2, noise_nats=0)
    assert found.before == found.after == 2.0
    assert found.usable == pytest.approx(2 / 3)
    nothing = objective(np.array([math.nan]), np.array([1.0]), ["x"], reduction=per_step, clip=0.2, noise_nats=0)
    assert nothing.usable == 0
    assert nothing.after == 0


def test_noise_is_what_random_errors_of_that_size_do():
    """Monte Carlo: the stated noise is two standard deviations of ΔJ under errors of `noise_nats` in each log-ratio."""
    rng = np.random.default_rng(0)
    advantages, logs, names = rng.normal(size=40), rng.normal(scale=0.05, size=40), [str(i // 4) for i in range(40)]
    stated = objective(logs, advantages, names, reduction=per_trajectory, clip=0.9, noise_nats=0.01).noise
    drawn = [
        objective(
            logs + rng.normal(scale=0.01, size=40), advantages, names, reduction=per_trajectory, clip=0.9, noise_nats=0
        ).change
        for _ in range(2000)
    ]
    assert stated == pytest.approx(2 * np.std(drawn), rel=0.1)
