"""The gate held against candidates whose true gain is known in closed form."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from agents.models.model import Message, Sampling, Utterance
from environments.grammar import Choices
from testbed.bench.experiments.closed_forms import CLOSED_FORMS, LeverPlayer, player, settings_of, skill_of
from testbed.bench.experiments.gates.calibration import calibrate, calibrate_by_play, collect, curve, rank_correlation
from transfer.gate.acceptance import Improvement
from transfer.gate.advantage import ReturnToGo, StepBaseline
from transfer.gate.gate import PPOGate
from transfer.gate.replay import ActingPolicy


def gate(model):
    return PPOGate((model,), acceptance=Improvement(), voice=ActingPolicy(1.0), repeats=4)


def calibrated(form, advantage, parents=25):
    return asyncio.run(calibrate(form, gate, advantage, parents=parents, seeds=np.random.SeedSequence(1)))


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_closed_form_returns_are_what_is_earned(name):
    form = CLOSED_FORMS[name]
    rng = np.random.default_rng(2)
    settings = form.draw(rng)
    played = asyncio.run(collect(player(form), form.environment, skill_of(settings), env_seeds=range(300), rng=rng))
    totals = [trajectory.total for trajectory in played]
    assert form.true_return(settings) == pytest.approx(np.mean(totals), abs=4 * np.std(totals) / np.sqrt(300))


def test_a_player_reads_its_settings_out_of_its_skill():
    form = LeverPlayer()
    settings = np.array([0.0, 1.0, -2.0, 0.5, 3.0])
    skill = skill_of(settings)
    assert settings_of(skill) == pytest.approx(settings)
    told = (Message("system", f"rules\n\n{skill.text}"), Message("user", "which?"))
    (scored,) = asyncio.run(player(form).score([Utterance(told, "[E]", Choices(tuple(form.options)))]))
    assert np.exp(scored.total) == pytest.approx(form.odds(settings, "")[4])


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_the_gate_ranks_candidates_by_their_true_gain(name):
    table = calibrated(CLOSED_FORMS[name], StepBaseline(0.0))
    estimate, low, high = rank_correlation(table, "delta_J", np.random.default_rng(0), draws=200)
    assert low <= estimate <= high
    assert low > 0.2
    passed = table["outcome"] == "accepted"
    assert (table["true_gain"][passed] > 0).mean() > (table["true_gain"] > 0).mean() + 0.2
    assert (table["rebuilt"] == 1.0).all()
    assert (table["noise_nats"] == 0.0).all()
    assert curve(table, "delta_J", bins=3)["n"].sum() == len(table)


def test_the_papers_advantage_lets_nothing_in_where_pay_comes_along_the_way():
    """G_t − R̄ compares what is still to come with the whole return: nearly every step looks bad."""
    table = calibrated(LeverPlayer(), ReturnToGo(), parents=10)
    assert (table["J"] > 0).mean() < 0.05


def test_gains_measured_by_play_agree_with_closed_form():
    form = LeverPlayer()
    skills = [skill_of(np.array([2.0 * (lever == index) for lever in range(5)])) for index in range(5)]
    model = player(form)
    table = asyncio.run(
        calibrate_by_play(
            model, "Lever-v0", skills, gate(model), StepBaseline(0.0), buffered=12, evaluated=40,
            seeds=np.random.SeedSequence(3), sampling=Sampling(temperature=1.0),
        )
    )  # fmt: skip
    known = {each.id: form.true_return(settings_of(each)) for each in skills}
    truth = np.array([known[row.skill] - known[row.parent] for row in table.itertuples()])
    assert len(table) == 20
    assert np.abs(table["true_gain"] - truth).max() < 0.25
    assert rank_correlation(table, "delta_J", np.random.default_rng(0), draws=100)[0] > 0.4
