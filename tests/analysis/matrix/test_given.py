"""Given pools: the claim is about this very pool, and the cluster is the environment seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.matrix.arms.given import given_findings
from analysis.results import analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import EPISODES, Tables

TASKS = {"Doors-v0": (0.0, 1.0), "Levers-v0": (0.0, 1.0)}


def tables(
    rng: np.random.Generator,
    effects: dict[tuple[str, str], float],
    *,
    runs: int = 3,
    seeds: int = 8,
    shared: float = 0.0,
    noise: float = 0.2,
) -> Tables:
    """Arms none and given: `effects` by (agent, task); `shared`: SD of what a seed does to the pool's effect."""
    rows: list[dict[str, object]] = []
    for task in dict.fromkeys(task for _, task in effects):
        for run in range(runs):
            for episode in range(seeds):
                base, twist = rng.normal(0.5, 0.1), rng.normal(0.0, shared) if shared else 0.0
                for agent in [agent for agent, place in effects if place == task]:
                    for arm, effect in (("none", 0.0), ("given", effects[agent, task] + twist)):
                        value = base + effect + rng.normal(0.0, noise)
                        rows.append(
                            {"arm": arm, "agent": agent, "task": task, "learning_run": run, "episode": episode,
                             "env_seed": 1000 * run + 2 * episode + 1, "return": value, "solved": value > 0.5}
                        )  # fmt: skip
    frame = pd.DataFrame(rows).reindex(columns=[column.name for column in EPISODES])
    return Tables.of(frame.assign(study="matrix", run="r", seat=0, invalid=0, steps=1, error=None))


def found(*pools: Tables, **options):
    """In return: solved is a family of its own."""
    by = Resampler(np.random.default_rng(0), 300)
    every = given_findings({f"p{number}": each for number, each in enumerate(pools)}, by, **options)
    return [each for each in every if each.outcome == "return"]


def test_one_cell_is_a_paired_t_test_over_environment_seeds():
    given = tables(np.random.default_rng(1), {("a", "Doors-v0"): 0.3})
    (each,) = found(given)
    wide = given.episodes.pivot_table(index=["learning_run", "env_seed"], columns="arm", values="return", observed=True)
    expected = stats.ttest_rel(wide["given"], wide["none"])
    low, high = expected.confidence_interval()
    skewness = float(stats.skew(wide["given"] - wide["none"], bias=False))
    below, above = 1 + 2 * max(-skewness, 0) / 26, 1 + 2 * max(skewness, 0) / 26
    assert each.skewness == pytest.approx(skewness)
    ends = (each.estimate - below * (each.estimate - low), each.estimate + above * (high - each.estimate))
    assert (each.low, each.high) == pytest.approx(ends)
    assert each.p == pytest.approx(2 * stats.t.sf(expected.statistic / below, 23))
    assert (each.n_clusters, each.freedom, each.n_episodes) == (24, 23, 48)
    assert (each.kind, each.cluster, each.verdict) == ("given", "environment seed", "better")
    assert "learning run" not in each.sentence + each.method + each.p_method
    assert each.sentence.endswith("This is a claim about this very pool, on further environment seeds.")


def test_it_says_whom_it_helps_and_where():
    effects = {("a", "Doors-v0"): 0.4, ("b", "Doors-v0"): 0.0, ("a", "Levers-v0"): -0.4}
    cells = {(f.cell.get("agent"), f.cell.get("task")): f for f in found(tables(np.random.default_rng(2), effects))}
    assert cells["a", "Doors-v0"].verdict == "better"
    assert cells["b", "Doors-v0"].verdict == "undecided"
    assert cells["a", "Levers-v0"].verdict == "worse"
    assert cells["a", "Doors-v0"].family == "3 cells of given pools"
    assert cells[None, None].n_clusters == 48


def test_one_learning_run_is_enough_for_a_given_pool():
    (each,) = found(tables(np.random.default_rng(3), {("a", "Doors-v0"): 0.5}, runs=1))
    assert each.verdict == "better"


def test_agents_on_one_seed_are_one_cluster():
    """Were they two, the interval over both would be too narrow by √2: what a seed does, it does to both."""
    effects = {("a", "Doors-v0"): 0.0, ("b", "Doors-v0"): 0.0}
    whole = found(tables(np.random.default_rng(4), effects, shared=0.4, noise=0.01))[-1]
    assert whole.n_clusters == 24
    one = found(tables(np.random.default_rng(4), {("a", "Doors-v0"): 0.0}, shared=0.4, noise=0.01))[0]
    assert 0.8 < (whole.high - whole.low) / (one.high - one.low) < 1.25


def test_several_pools_are_one_family():
    pools = [tables(np.random.default_rng(k), {("a", "Doors-v0"): 0.0}) for k in range(4)]
    each = found(*pools)
    assert {one.family for one in each} == {"4 cells of given pools"}
    assert all(one.p_adjusted >= one.p for one in each)


def test_the_report_has_them_beside_everything_else(by):
    given = tables(np.random.default_rng(5), {("a", "Doors-v0"): 0.4})
    results = analyse(given, by, given={"door-lore": given})
    assert [each.id for each in results.findings if each.kind == "given"] == [
        "given:return:door-lore:given///a/Doors-v0",
        "given:solved:door-lore:given///a/Doors-v0",
    ]
    assert "1 learning run" not in " ".join(results.summary)


def test_failed_episodes_are_missing_data():
    given = tables(np.random.default_rng(6), {("a", "Doors-v0"): 0.1}, noise=0.01)
    rows = (given.episodes["arm"] == "given") & (given.episodes["episode"] < 4)
    episodes = given.episodes.assign(error=np.where(rows, "server died", None))
    lost = Tables.of(episodes.assign(**{"return": episodes["return"].mask(rows)}), ranges={"Doors-v0": (-1.0, 2.0)})
    (each,) = found(lost)
    assert each.verdict == "undecided"
    assert "episodes are missing" in each.withheld
    assert each.n_clusters == 12
