"""Normalised scores, several episodes per seed, and where variance comes from, against planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.matrix.arms.epochs import epoch_table
from analysis.matrix.arms.scores import normalised_scores
from analysis.matrix.arms.variance import nested_components, variance_table
from analysis.statistics.bootstrap import Resampler
from analysis.tables.units import SEED, seed_means
from tests.support.simulated_study import simulate


def nested(rng: np.random.Generator, *, runs: int, seeds: int, epochs: int) -> pd.DataFrame:
    """One cell whose returns vary by run (SD .3), seed (SD .2) and episode (SD .1)."""
    of_run = rng.normal(0, 0.3, runs)
    of_seed = rng.normal(0, 0.2, (runs, seeds))
    noise = rng.normal(0, 0.1, (runs, seeds, epochs))
    values = of_run[:, None, None] + of_seed[:, :, None] + noise
    run, seed, _ = (axis.ravel() for axis in np.indices(values.shape))
    names = {"arm": "self", "source_agent": "a", "source_task": "T", "agent": "a", "task": "T"}
    return pd.DataFrame({"learning_run": run, "env_seed": 100 * run + seed, "value": values.ravel()}).assign(**names)


def test_components_of_a_balanced_design_are_those_of_reml():
    values = nested(np.random.default_rng(0), runs=12, seeds=6, epochs=3)
    found = nested_components(values).iloc[0]
    parts = {"seed": "0 + C(env_seed)"}
    model = MixedLM.from_formula("value ~ 1", values, groups="learning_run", re_formula="1", vc_formula=parts)
    fit = model.fit(reml=True)
    assert found["run"] == pytest.approx(float(fit.cov_re.iloc[0, 0]), rel=0.02)
    assert found["seed"] == pytest.approx(float(fit.vcomp[0]), rel=0.02)
    assert found["sampling"] == pytest.approx(float(fit.scale), rel=0.02)


def test_components_are_unbiased_where_episodes_are_missing():
    rng = np.random.default_rng(1)
    found: list[pd.Series] = []
    for _ in range(300):
        values = nested(rng, runs=8, seeds=5, epochs=3)
        found.append(nested_components(values[rng.random(len(values)) > 0.3]).iloc[0])
    means = pd.DataFrame(found)[["run", "seed", "sampling"]].astype(float).mean()
    assert means["run"] == pytest.approx(0.09, rel=0.08)
    assert means["seed"] == pytest.approx(0.04, rel=0.05)
    assert means["sampling"] == pytest.approx(0.01, rel=0.05)


def test_one_episode_per_seed_cannot_tell_seed_from_sampling():
    found = nested_components(nested(np.random.default_rng(2), runs=30, seeds=20, epochs=1)).iloc[0]
    assert np.isnan(found["seed"])
    assert np.isnan(found["sampling"])
    assert found["seed_and_sampling"] == pytest.approx(0.05, rel=0.2)
    table = variance_table(simulate(np.random.default_rng(0), runs=4, episodes=3).episodes)
    assert set(table["outcome"]) == {"return", "solved"}
    assert table["run_share"].dropna().between(0, 1).all()


def epochs_of(k: int):
    tables = simulate(np.random.default_rng(3), tasks=("Maze",), runs=6, episodes=4)
    again = [tables.episodes.assign(episode=tables.episodes["episode"] * k + each) for each in range(k)]
    return pd.concat(again, ignore_index=True)


def test_epochs_are_reduced_seed_by_seed(by: Resampler):
    episodes = epochs_of(4)
    solved = (episodes["env_seed"] + episodes["episode"]) % 2 == 0  # two of four, at every seed
    table = epoch_table(episodes.assign(solved=solved.astype(float)), by).set_index(["arm", "reducer", "k"])["share"]
    assert table["self", "pass@k", 1] == pytest.approx(0.5)
    assert table["self", "pass@k", 2] == pytest.approx(1 - 1 / 6)
    assert table["self", "pass@k", 4] == pytest.approx(1.0)
    assert table["self", "pass^k", 2] == pytest.approx(1 / 6)
    assert table["self", "at least k of 4", 2] == pytest.approx(1.0)
    assert table["self", "at least k of 4", 3] == pytest.approx(0.0)
    assert table["self", "majority", 4] == pytest.approx(0.5)
    assert epoch_table(epochs_of(1), by).empty


def test_normalised_scores_weigh_tasks_alike(by: Resampler):
    episodes = simulate(np.random.default_rng(4), runs=5, episodes=4).episodes.copy()
    episodes["return"] = np.where(episodes["task"] == "Maze", 100 * episodes["return"] - 50, episodes["return"])
    ranges = {"Maze": (-50.0, 50.0), "Quiz": (0.0, 1.0)}
    plain = simulate(np.random.default_rng(4), runs=5, episodes=4).episodes
    table = normalised_scores(seed_means(episodes), ranges, by).set_index("arm")
    means = plain.groupby(SEED, observed=True)["return"].mean().groupby(["arm", "task"], observed=True).mean()
    assert table.loc["none", "score"] == pytest.approx(means["none"].mean())
    assert table.loc["none", "optimality_gap"] == pytest.approx(1 - means["none"].mean())
    assert normalised_scores(seed_means(episodes), {"Maze": (-50.0, 50.0)}, by).empty
