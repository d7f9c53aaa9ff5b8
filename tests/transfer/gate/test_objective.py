from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.model import Likelihood
from tests.support.reference import gate as reference
from transfer.gate.objective import (
    LIKELIHOODS,
    REDUCTIONS,
    log_ratios,
    objective,
    panel_mean,
    per_step,
    per_trajectory,
    surrogate,
)

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


values = st.sampled_from([0.0, 0.1, -0.1, 0.19, -0.23, 0.5, -2.0, 9.0, -10.0, 12.0, math.nan, math.inf, -math.inf])
steps = st.lists(
    st.tuples(values, values, st.sampled_from([0.0, 1.0, -0.4, 0.3, math.nan]), st.sampled_from("abc")), max_size=9
)
ways = st.tuples(st.sampled_from(sorted(REDUCTIONS)), st.sampled_from([0.2, 0.1]), st.sampled_from([0.0, 0.01, 0.2]))


def compare(found, expected):
    for name in ("before", "after", "change", "clipped", "usable", "noise", "stderr"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), nan_ok=True), name
    assert found.apart == pytest.approx(expected.apart)


@given(st.lists(steps, min_size=1, max_size=3), ways)
def test_objective_and_panel_equal_the_second_implementation(scorers, way):
    reduction, clip, nats = way
    found, expected = [], []
    for batch in scorers:
        old, new, gains = (np.array([step[i] for step in batch], dtype=float) for i in range(3))
        owners = [step[3] for step in batch]
        logs = log_ratios(old, new)
        ratios = [reference.log_ratio(*step[:2]) for step in batch]
        assert logs.tolist() == pytest.approx([math.nan if each is None else each for each in ratios], nan_ok=True)
        found.append(objective(logs, gains, owners, reduction=REDUCTIONS[reduction], clip=clip, noise_nats=nats))
        expected.append(reference.surrogate(ratios, gains, owners, reduction=reduction, clip=clip, nats=nats))
        compare(found[-1], expected[-1])
    compare(panel_mean(found), reference.panel(expected))


def test_standard_error_is_what_other_trajectories_would_give():
    """Monte Carlo over whole batches of 30 trajectories of 1 to 6 steps: the spread of ΔJ is the stated one."""
    rng = np.random.default_rng(0)

    def batch():
        owners = [str(t) for t in range(30) for _ in range(1 + int(rng.integers(6)))]
        level = {owner: rng.normal(0.2, 0.1) for owner in owners}
        logs = np.array([level[owner] for owner in owners]) + rng.normal(0, 0.05, len(owners))
        return logs, np.ones(len(owners)), owners

    for reduction in (per_trajectory, per_step):
        many = [objective(*batch(), reduction=reduction, clip=0.99, noise_nats=0) for _ in range(300)]
        stated = np.mean([each.stderr for each in many])
        assert stated == pytest.approx(np.std([each.change for each in many]), rel=0.15)


def test_one_trajectory_has_no_standard_error_and_equal_ones_have_none_to_speak_of():
    alone = objective(np.array([0.1, 0.3]), np.ones(2), ["x", "x"], reduction=per_step, clip=0.5, noise_nats=0)
    assert math.isnan(alone.stderr)
    names = ["x", "y", "y", "y"]
    equal = objective(np.full(4, 0.1), np.ones(4), names, reduction=per_step, clip=0.5, noise_nats=0)
    assert equal.stderr == pytest.approx(0, abs=1e-12)


def test_a_panel_knows_its_trajectories_better_than_twice_as_many_scorers_would():
    """Scorers that agree are no new evidence: the standard error stays, the independent noise shrinks by √2."""
    logs, gains, names = np.array([0.1, -0.1, 0.05]), np.array([1.0, 0.5, -1.0]), ["x", "y", "z"]
    one = objective(logs, gains, names, reduction=per_step, clip=0.2, noise_nats=0.01)
    both = panel_mean([one, one])
    assert both.stderr == pytest.approx(one.stderr)
    assert both.noise == pytest.approx(one.noise / math.sqrt(2))
    opposite = objective(-logs, gains, names, reduction=per_step, clip=0.9, noise_nats=0.01)
    straight = objective(logs, gains, names, reduction=per_step, clip=0.9, noise_nats=0.01)
    assert panel_mean([straight, opposite]).stderr < 0.1 * straight.stderr


def test_lengths_must_agree_and_no_steps_are_no_evidence():
    with pytest.raises(ValueError, match="argument 2 is"):
        objective(np.zeros(2), np.ones(2), ["x"], reduction=per_step, clip=0.2, noise_nats=0)
    none = objective(np.array([math.nan]), np.array([1.0]), ["x"], reduction=per_step, clip=0.2, noise_nats=1.0)
    assert none == (0.0, 0.0, 0.0, 0.0, 0.0, {})


def test_likelihoods_by_name():
    likelihood = Likelihood((-1.0, -3.0))
    assert {name: of(likelihood) for name, of in LIKELIHOODS.items()} == {"sum": -4.0, "per-token-mean": -2.0}
