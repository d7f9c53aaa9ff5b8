"""Players of Setpoint earn what their closed form says, and their likelihoods are those of their numbers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from agents.models.model import Message, Utterance
from environments.diagnostics.setpoint import settings
from testbed.bench.experiments.closed_forms import player, skill_of
from testbed.bench.experiments.gates.calibration import collect
from testbed.bench.experiments.players.setpoint import (
    SETPOINT_FORMS,
    FineSetpointPlayer,
    PairPlayer,
    SetpointPlayer,
    WholeSetpointPlayer,
)

FORMS = [*SETPOINT_FORMS.values(), WholeSetpointPlayer(), SetpointPlayer(jitter=1.0)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.environment}, {getattr(form, 'jitter', 0)}")
def test_closed_form_returns_are_what_is_earned(form):
    rng = np.random.default_rng(2)
    centre = form.draw(rng)
    played = asyncio.run(collect(player(form), form.environment, skill_of(centre), env_seeds=range(100), rng=rng))
    totals = [trajectory.total for trajectory in played]
    assert form.true_return(centre) == pytest.approx(np.mean(totals), abs=4 * np.std(totals) / 10)


def test_a_ratio_of_densities_does_not_depend_on_how_finely_a_number_is_written():
    one, other = np.array([4.0]), np.array([6.0])

    def log_ratio(form: SetpointPlayer, text: str) -> float:
        odds = dict(zip(form.options, form.odds(other, "") / form.odds(one, ""), strict=True))
        return float(np.log(odds[text]))

    coarse = log_ratio(WholeSetpointPlayer(), "[7]")
    assert coarse == pytest.approx(log_ratio(FineSetpointPlayer(), "[7.000]"), abs=1e-3)
    assert coarse == pytest.approx(log_ratio(SetpointPlayer(), "[7.0]"), abs=1e-3)
    liking = [log_ratio(FineSetpointPlayer(jitter=1.0), f"[7.00{digit}]") for digit in range(10)]
    assert np.std(liking) > 0.3


def test_likelihoods_of_a_pair_are_those_of_its_two_numbers():
    form, centres = PairPlayer(), np.array([3.0, -2.0])
    told = (Message("system", f"rules\n\n{skill_of(centres).text}"), Message("user", "how?"))
    (scored,) = asyncio.run(player(form).score([Utterance(told, "[3, -2]", settings(0, pair=True).grammar)]))
    odds = form.odds(centres, "").reshape(11, 11)
    assert np.exp(scored.total) == pytest.approx(odds[3, 3])
    assert odds[3, 3] == odds.max()
    assert odds.sum() == pytest.approx(1.0)
