"""Reuse rates against hand counts, and chance against enumeration and simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.matrix.cells import reuse_table
from analysis.matrix.reuse.chance import chance_findings, random_selector_test
from analysis.matrix.reuse.coverage import (
    chance_corrected,
    coverage_runs,
    expected_coverage,
    invocation_shares,
    occupancy,
    rarefied_coverage,
    rate_runs,
)
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables


@pytest.mark.parametrize(("selections", "units"), [(0, 3), (1, 4), (4, 3), (5, 2)])
def test_occupancy_equals_enumeration(selections, units):
    counts = np.zeros(units + 1)
    for picks in product(range(units), repeat=selections):
        counts[len(set(picks))] += 1
    np.testing.assert_allclose(occupancy(selections, units), counts / units**selections)


@given(st.integers(0, 200), st.integers(1, 20))
def test_expected_coverage_is_the_mean_of_occupancy(selections, units):
    chances = np.array(occupancy(selections, units))
    assert chances.sum() == pytest.approx(1)
    assert (chances @ np.arange(units + 1)) / units == pytest.approx(expected_coverage(selections, units))


def test_chance_correction():
    assert chance_corrected(0.9, 0.8) == pytest.approx(0.5)
    assert chance_corrected(0.8, 0.8) == 0
    assert np.isnan(chance_corrected(1.0, 1.0))


def test_rarefaction_equals_resampling():
    calls = np.array([5.0, 3.0, 1.0, 0.0])
    rng = np.random.default_rng(0)
    bag = np.repeat(np.arange(4), calls.astype(int))
    drawn = np.mean([len(set(rng.choice(bag, 4, replace=False))) / 4 for _ in range(20_000)])
    assert rarefied_coverage(calls, 4) == pytest.approx(drawn, abs=0.005)
    assert rarefied_coverage(calls, 9) == pytest.approx(0.75)


def test_coverage_of_a_run_equals_a_hand_count(study: Tables):
    runs = coverage_runs(study)
    row = runs[
        (runs["arm"] == "self") & (runs["agent"] == "bob") & (runs["task"] == "Quiz") & (runs["learning_run"] == 1)
    ]
    calls = study.invocations
    mine = calls[
        (calls["arm"] == "self") & (calls["agent"] == "bob") & (calls["task"] == "Quiz") & (calls["learning_run"] == 1)
    ]
    assert row["used"].item() == mine["unit"].nunique()
    assert row["selections"].item() == mine["calls"].sum()
    assert row["units"].item() == 6
    assert row["stored_tokens"].item() == 240
    assert row["expected"].item() == pytest.approx(1 - (5 / 6) ** mine["calls"].sum())


def test_a_pool_never_called_has_coverage_zero(study: Tables):
    silent = Tables.of(study.episodes.assign(skill_calls=0), pools=study.pools)
    runs = coverage_runs(silent)
    assert (runs["coverage"] == 0).all()
    assert (runs["expected"] == 0).all()


def test_rates_per_episode_and_per_step(study: Tables):
    rates = rate_runs(study)
    row = rates[(rates["arm"] == "none")]
    assert (row["per_episode"] == 0).all()
    frame = study.episodes
    share = (frame[frame["arm"] == "self"]["skill_calls"] > 0).mean()
    assert rates[rates["arm"] == "self"]["per_episode"].mean() == pytest.approx(share)


def test_invocation_shares_sum_to_one(study: Tables):
    shares = invocation_shares(study)
    sums = shares.groupby(["arm", "source_agent", "source_task", "agent", "task"], observed=True)["share"].sum()
    np.testing.assert_allclose(sums, 1)


def test_a_selector_stuck_on_one_skill_is_below_chance(by):
    found = random_selector_test(np.full(6, 1.0), np.full(6, 12.0), np.full(6, 8.0), by)
    assert found.p < 0.01


def test_many_evaluations_have_an_exact_null_too(by):
    rng = np.random.default_rng(0)
    used = np.array([len(set(rng.integers(0, 8, 12))) for _ in range(600)], float)
    many = random_selector_test(used, np.full(600, 12.0), np.full(600, 8.0), by)
    few = random_selector_test(used[:499], np.full(499, 12.0), np.full(499, 8.0), by)
    assert "exact" in many.method
    assert min(many.p, few.p) > 0.001


def test_findings_by_relation(study: Tables, by):
    found = chance_findings(study, by)
    assert {each.subject.split(" coverage")[0] for each in found} == {
        "in-domain",
        "cross-agent",
        "cross-task",
        "cross-both",
    }
    assert all(each.adjustment == "Holm" and each.sentence for each in found)


def test_memories_that_stored_nothing_have_a_table_of_the_same_columns(study: Tables):
    by = Resampler(np.random.default_rng(0), 200)
    nothing = replace(study, pools=study.pools.iloc[:0])
    assert list(reuse_table(nothing, by).columns) == list(reuse_table(study, by).columns)
    assert len(reuse_table(nothing, by)) == 0
