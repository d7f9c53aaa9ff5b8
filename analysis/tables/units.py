"""From episodes to one value per learning run: the datum of every estimate and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from analysis.statistics.bootstrap import Array, Layout
from analysis.tables.run import CELL

RUN = [*CELL, "learning_run"]
SEED = [*RUN, "env_seed"]
TARGET = ["agent", "task"]
SOURCE = ["source_agent", "source_task"]
WITHOUT_SOURCE = ("none", "seed", "self")
"""Reference arms that are matched by target alone; others (random, shuffled) also by the pool they select from."""


@dataclass(frozen=True)
class Sample:
    """Cluster values of one estimate, ordered by stratum, and how many episodes they rest on."""

    values: Array
    """Shape (measures, clusters)."""
    layout: Layout
    episodes: int
    names: tuple[str, ...]
    """A name per cluster, the same in every sample whose clusters are built alike."""


def seed_means(episodes: pd.DataFrame) -> pd.DataFrame:
    """Means per cell, learning run and environment seed over the answered episodes; column `n` counts them."""
    answered = episodes[episodes["error"].isna()]
    grouped = answered.groupby(SEED, observed=True, sort=False)
    means = grouped[["return", "solved", "invalid", "steps"]].mean()
    return means.assign(n=grouped.size()).reset_index()


def run_means(seeds: pd.DataFrame) -> pd.DataFrame:
    """Means per cell and learning run, every environment seed weighing the same; column `n` counts episodes."""
    grouped = seeds.groupby(RUN, observed=True, sort=False)
    return grouped[["return", "solved", "invalid", "steps"]].mean().assign(n=grouped["n"].sum()).reset_index()


def wide(runs: pd.DataFrame, value: str) -> pd.DataFrame:
    """One row per cell, one column per learning run; NaN where a cell lacks the run."""
    keys = [key for key in CELL if key in runs.columns]
    return runs.set_index([*keys, "learning_run"])[value].unstack("learning_run")


def paired(seeds: pd.DataFrame, treatment: str, reference: str, value: str) -> pd.DataFrame:
    """Differences treatment − reference on common environment seeds, one row per treated cell and learning run.

    Columns: the treated cell, learning_run, difference, wins (share of seeds where the treatment is better, ties half),
    n (episodes on either side), seeds (common). Without common seeds the frame is empty.
    """
    left = seeds[seeds["arm"] == treatment]
    right = seeds[seeds["arm"] == reference]
    keys = reference_keys(right, reference)
    both = left.merge(right[[*keys, value, "n"]], on=keys, suffixes=("", "_reference"))
    both = both[both[value].notna() & both[f"{value}_reference"].notna()]
    both = both.assign(difference=both[value] - both[f"{value}_reference"], n=both["n"] + both["n_reference"])
    both["wins"] = (both["difference"] > 0) + 0.5 * (both["difference"] == 0)
    grouped = both.groupby(RUN, observed=True, sort=False)
    answer = grouped.agg(
        difference=("difference", "mean"), wins=("wins", "mean"), n=("n", "sum"), seeds=("difference", "size")
    )
    return answer.reset_index()


def reference_keys(rows: pd.DataFrame, reference: str) -> list[str]:
    """Columns on which a treated episode finds its reference, among the reference arm's `rows`."""
    keys = [*TARGET, "learning_run", "env_seed"]
    by_source = reference not in WITHOUT_SOURCE and bool((rows["source_agent"] != "").any())
    return [*SOURCE, *keys] if by_source else keys


def clusters(runs: pd.DataFrame) -> NDArray[np.intp]:
    """Which independent cluster each row (cell × learning run) belongs to, shape (rows,).

    Two rows depend on each other when they share a learned pool (source and learning run) or environment seeds (task
    and learning run); clusters are the connected pieces. Within one task they are its learning runs; where a pool is
    tried on several tasks, they are the learning runs across those tasks.
    """
    seeds = _codes(runs, ["task", "learning_run"])
    pools = _codes(runs, [*SOURCE, "learning_run"])
    first_pool = int(seeds.max()) + 1
    # a row without a source hangs on its seeds alone: it is linked to itself
    ends = np.where(runs["source_task"].to_numpy() == "", seeds, first_pool + pools)
    size = first_pool + int(pools.max()) + 1
    links = coo_array((np.ones(len(runs)), (seeds, ends)), shape=(size, size))
    return cast("tuple[int, NDArray[np.intp]]", connected_components(links, directed=False))[1][seeds]


def aggregate(runs: pd.DataFrame, *measures: str) -> Sample:
    """One value per independent cluster: the mean over cells, then over tasks, every learning run weighing the same.

    Tasks are strata where no cluster spans two of them. A cell that lacks a run takes part by its deviations from its
    own mean, so that a missing hard cell does not make a cluster look good.
    """
    names = list(measures)
    cell, label = _codes(runs, CELL), clusters(runs)
    task, task_names = pd.factorize(runs["task"].astype("str"), sort=True)
    means = runs[names].groupby(cell).transform("mean")
    keys = pd.DataFrame({"task": task, "cluster": label, "run": runs["learning_run"].to_numpy(int)})
    rows = pd.concat([keys, (runs[names] - means).reset_index(drop=True)], axis=1)
    parts = rows.groupby(["task", "cluster"]).agg({"run": "min"} | dict.fromkeys(names, "mean")).reset_index()
    first = ~pd.Series(cell).duplicated().to_numpy()
    by_task = means[first].groupby(task[first]).mean()
    episodes = int(runs["n"].sum())
    if bool(parts["cluster"].duplicated().any()):
        joint = parts.groupby("cluster").agg({"run": "min"} | dict.fromkeys(names, "mean")).sort_values("run")
        values = (joint[names] + by_task.mean()).to_numpy(float).T
        return Sample(values, Layout.single(values.shape[1]), episodes, tuple(f"run {run}" for run in joint["run"]))
    parts = parts.sort_values(["task", "run"], kind="stable")
    strata = parts["task"].to_numpy(np.int64)
    values = parts[names].to_numpy(float).T + by_task.loc[strata].to_numpy(float).T
    labels = tuple(f"{task_names[k]} run {run}" for k, run in zip(strata, parts["run"], strict=True))
    return Sample(values, Layout(strata), episodes, labels)


def _codes(frame: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    return np.asarray(frame.groupby(columns, observed=True, sort=False).ngroup(), np.int64)
