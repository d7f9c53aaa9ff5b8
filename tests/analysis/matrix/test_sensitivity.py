"""What a verdict hangs on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.matrix.contrasts import DECLARED
from analysis.matrix.robustness.sensitivity import average, leave_one_out, run_values
from analysis.results import analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.units import seed_means
from tests.support.simulated_study import simulate


@pytest.fixture(scope="module")
def seeds():
    return seed_means(simulate(np.random.default_rng(5), runs=6, episodes=5).episodes)


def test_the_run_that_carries_a_result_is_named(seeds):
    runs = DECLARED[0].differences(seeds, "return")
    lucky = runs["learning_run"] == 4
    changed = runs.assign(difference=runs["difference"].where(~lucky, 5.0))
    found = leave_one_out(changed)
    assert found["loo_run"] == 4
    assert found["loo_low"] == pytest.approx(average(runs[~lucky]))
    assert leave_one_out(runs[runs["learning_run"] == 0]) == {}


def test_values_have_the_mean_of_the_estimate_and_no_spread_between_tasks(seeds):
    runs = DECLARED[0].differences(seeds, "return")
    shifted = runs.assign(difference=runs["difference"] + (runs["task"] == "Maze"))
    for clusters, size in ((12, 12), (6, 6)):
        values = run_values(shifted, clusters)
        assert len(values) == size
        assert values.mean() == pytest.approx(average(runs) + 0.5)
        assert values.std() == pytest.approx(run_values(runs, clusters).std())


def test_second_opinions_stand_beside_every_contrast():
    tables = replace(
        simulate(np.random.default_rng(6), tasks=("Maze",), runs=7, effects={"transfer": 0.0}),
        ranges={"Maze": (0.0, 1.0)},
    )
    found = analyse(tables, Resampler(np.random.default_rng(0), 300), margin=0.2)
    table = found.sensitivity.set_index(["contrast", "outcome"])
    assert len(table) == 12
    row = table.loc[("own pool − no memory", "return")]
    assert row["prior_sd"] == 0.5
    assert row["p_positive"] > 0.99
    assert row["posterior_low"] < row["posterior"] < row["posterior_high"]
    assert 0 <= table.loc[("transferred pool − no memory", "return"), "p_within_margin"] <= 1
    assert row["low90"] > found.findings[0].low
    assert len(found.cluster_values[found.cluster_values["contrast"] == "own pool − no memory"]) == 2 * 7
    undecided = [each for each in found.findings if each.verdict == "undecided" and np.isfinite(each.mde)]
    assert undecided
    assert all("would have been found with 80 % power" in each.sentence for each in undecided if each.kind == "gain")
