"""What looking saves: the short form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.simulation.adaptive.savings import Saving, markdown, savings


@pytest.fixture(scope="module")
def rows() -> dict[str, Saving]:
    return {row.what: row for row in savings(np.random.default_rng(3), 24)}


def test_large_effects_end_early_and_are_found(rows):
    for effect in ("0.3", "0.45"):
        row = rows[f"a claim, effect {effect}"]
        assert row.adaptive < 0.5 * row.fixed
        assert row.power_adaptive == 1.0


def test_the_fixed_size_finds_the_smallest_effect_as_often(rows):
    row = rows["a claim, effect 0.1"]
    assert row.power_fixed == pytest.approx(row.power_adaptive, abs=0.08)


def test_without_an_effect_it_gives_up_before_its_budget(rows):
    row = rows["a claim, effect 0"]
    assert row.adaptive < 30
    assert row.power_adaptive <= 0.1


def test_a_study_is_compared_with_two_fixed_ones(rows):
    studies = [row for name, row in rows.items() if name.startswith("a study")]
    sized, hindsight = studies
    assert sized.adaptive == hindsight.adaptive > 0
    assert hindsight.power_fixed >= hindsight.power_adaptive - 0.05
    assert json.loads(json.dumps(sized.plain()))["bias"] is None
    assert markdown(studies).count("\n") == 3
