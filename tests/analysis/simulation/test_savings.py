"""What looking saves: the short form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.simulation.adaptive.savings import DESIGNS, Saving, markdown, savings

E_PROCESS, FLIPS, *_ = (design.name for design in DESIGNS)


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], Saving]:
    return {(row.design, row.what): row for row in savings(np.random.default_rng(3), 24)}


@pytest.mark.parametrize("design", [FLIPS, E_PROCESS])
def test_large_effects_end_early_and_are_found(rows, design):
    for effect in ("0.3", "0.45"):
        row = rows[design, f"a claim, effect {effect}"]
        assert row.adaptive < 0.5 * row.fixed
        assert row.power_adaptive == 1.0


@pytest.mark.parametrize("design", [FLIPS, E_PROCESS])
def test_the_fixed_size_finds_the_smallest_effect_as_often(rows, design):
    row = rows[design, "a claim, effect 0.1"]
    assert row.power_fixed == pytest.approx(row.power_adaptive, abs=0.08)


@pytest.mark.parametrize("design", [FLIPS, E_PROCESS])
def test_without_an_effect_it_gives_up_before_its_budget(rows, design):
    row = rows[design, "a claim, effect 0"]
    assert row.adaptive < 30
    assert row.power_adaptive <= 0.1


def test_a_declared_size_saves_half_of_the_runs(rows):
    together = rows[FLIPS, "these effects together"]
    assert together.adaptive <= 0.55 * together.fixed
    assert json.loads(json.dumps(together.plain()))["power_fixed"] is None


def test_a_study_is_compared_with_two_fixed_ones(rows):
    for design in (FLIPS, E_PROCESS):
        studies = [row for (name, what), row in rows.items() if name == design and what.startswith("a study")]
        sized, hindsight = studies
        assert sized.adaptive == hindsight.adaptive > 0
        assert hindsight.power_fixed >= hindsight.power_adaptive - 0.05
        assert json.loads(json.dumps(sized.plain()))["bias"] is None
        assert markdown(studies).count("\n") == 3
