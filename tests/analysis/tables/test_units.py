"""Pairs share environment seeds; clusters are what shares nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.matrix.contrasts import Contrast
from analysis.tables.run import CELL, Tables
from analysis.tables.units import (
    _codes,  # pyright: ignore[reportPrivateUsage]
    aggregate,
    clusters,
    distinct,
    paired,
    run_means,
    seed_means,
)
from tests.support.simulated_study import simulate


def runs_of(cells: list[tuple[str, str, str, str, str]], runs: int) -> pd.DataFrame:
    rows = [(*cell, run, 1.0, 1) for cell in cells for run in range(runs)]
    return pd.DataFrame(rows, columns=[*CELL, "learning_run", "difference", "n"])


def test_pairs_are_differences_on_common_seeds(study: Tables):
    seeds = seed_means(study.episodes)
    runs = paired(seeds, "self", "none", "return")
    row = runs[(runs["agent"] == "ada") & (runs["task"] == "Maze") & (runs["learning_run"] == 2)].iloc[0]
    frame = study.episodes
    here = (frame["agent"] == "ada") & (frame["task"] == "Maze") & (frame["learning_run"] == 2)
    own = frame[here & (frame["arm"] == "self")].set_index("env_seed")["return"]
    base = frame[here & (frame["arm"] == "none")].set_index("env_seed")["return"]
    assert row["difference"] == pytest.approx((own - base).mean())
    assert row["wins"] == pytest.approx((own > base).mean())
    assert row["n"] == 20


def test_unbalanced_seeds_compare_only_what_both_answered(study: Tables):
    frame = study.episodes.copy()
    lost = (frame["arm"] == "none") & (frame["env_seed"] % 1000 < 4)
    frame.loc[lost, "error"] = "server died"
    frame.loc[lost, "return"] = np.nan
    runs = paired(seed_means(frame), "self", "none", "return")
    assert set(runs["seeds"]) == {6}


def test_random_reference_is_matched_by_the_pool_it_selects_from(study: Tables):
    runs = paired(seed_means(study.episodes), "transfer", "random", "return")
    assert set(runs["seeds"]) == {10}
    assert set(runs["n"]) == {20}


def test_clusters_within_one_task_are_its_learning_runs():
    frame = runs_of([("self", "a", "m", "a", "m"), ("transfer", "b", "m", "a", "m"), ("self", "a", "q", "a", "q")], 3)
    labels = clusters(frame)
    assert len(set(labels)) == 6
    assert (
        len({(task, run): label for task, run, label in zip(frame["task"], frame["learning_run"], labels, strict=True)})
        == 6
    )


def test_a_pool_tried_on_two_tasks_joins_them():
    frame = runs_of([("transfer", "a", "m", "b", "m"), ("transfer", "a", "m", "b", "q")], 4)
    assert len(set(clusters(frame))) == 4


def test_arms_without_a_source_hang_on_seeds_alone():
    assert len(set(clusters(runs_of([("none", "", "", "a", "m"), ("none", "", "", "a", "q")], 3)))) == 6


def test_aggregate_is_the_mean_over_cells_then_tasks(study: Tables):
    runs = run_means(seed_means(study.episodes))
    part = runs[runs["arm"] == "self"]
    sample = aggregate(part, "return")
    assert sample.cells.pivot.estimate[0] == pytest.approx(part["return"].mean())
    assert sample.cells.clusters == 16


def test_a_missing_hard_cell_does_not_flatter_its_run():
    frame = runs_of([("self", "a", "m", "a", "m"), ("self", "b", "m", "b", "m")], 4)
    frame["difference"] = np.where(frame["agent"] == "a", 1.0, 0.0)
    short = frame[~((frame["agent"] == "b") & (frame["learning_run"] == 0))]
    np.testing.assert_allclose(aggregate(short, "difference").cells.by_cluster()[0], 0.5)


def test_a_failed_arm_leaves_no_pairs():
    tables = simulate(np.random.default_rng(0), runs=2, episodes=3)
    frame = tables.episodes.copy()
    frame.loc[frame["arm"] == "none", "error"] = "refused"
    assert paired(seed_means(frame), "self", "none", "return").empty


def test_a_tail_in_the_seeds_reaches_the_interval(study: Tables):
    seeds = seed_means(study.episodes)
    runs = paired(seeds, "self", "none", "return")
    cell = (seeds["agent"] == "ada") & (seeds["task"] == "Maze")
    both = seeds[cell & (seeds["arm"] == "self")].merge(seeds[cell & (seeds["arm"] == "none")], on="env_seed")
    differences = (both["return_x"] - both["return_y"]).to_numpy(float)
    row = runs[(runs["agent"] == "ada") & (runs["task"] == "Maze")]
    expected = stats.skew(differences, bias=False)
    assert row["difference_skewness"].to_numpy() == pytest.approx(np.full(len(row), expected))
    pivot = aggregate(row, "difference").cells.pivot
    assert pivot.skewness[0] == pytest.approx(expected)
    regret = Contrast("self", "none", "", -1).differences(seeds, "return")
    assert (regret["difference_skewness"] == -runs["difference_skewness"]).all()
    assert run_means(seeds.assign(solved=1.0))["solved_skewness"].eq(0).all()


def test_rows_are_numbered_as_pandas_does():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "task": pd.Categorical(rng.choice(["b", "a", "c"], 200), ["a", "b", "c", "never"]),
            "agent": rng.choice(["x", "", "y"], 200),
            "learning_run": rng.integers(0, 5, 200),
        }
    )
    for columns in (["task"], ["agent", "learning_run"], list(frame.columns)):
        for part in (frame, frame[7:40], frame[:0]):
            groups = part.groupby(columns, observed=True, sort=False)
            assert _codes(part, columns).tolist() == groups.ngroup().tolist()
            assert distinct(part, columns) == len(part[columns].drop_duplicates())
