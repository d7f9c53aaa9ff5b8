"""From episodes to one value per learning run: the datum of every estimate and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .estimates import Array, Layout
from .tables import CELL

RUN = [*CELL, "learning_run"]
SEED = [*RUN, "env_seed"]
TARGET = ["agent", "task"]
SOURCE = ["source_agent", "source_task"]
WITHOUT_SOURCE = ("none", "seed", "self")
"""Reference arms that are matched by target alone; others (random, shuffled) also by the pool they select from."""


@dataclass(frozen=True)
class Sample:
    """Cluster values of one estimate: values (clusters,), ordered by stratum, and how many episodes they rest on."""

    values: Array
    layout: Layout
    episodes: int


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

    Columns: the treated cell, learning_run, difference, n (episodes on either side), seeds (common), spread (SD of the
    reference over seeds). Raises nothing: without common seeds the frame is empty.
    """
    left = seeds[seeds["arm"] == treatment]
    right = seeds[seeds["arm"] == reference]
    keys = [*TARGET, "learning_run", "env_seed"]
    if reference not in WITHOUT_SOURCE and bool((right["source_agent"].astype("str") != "").any()):
        keys = [*SOURCE, *keys]
    both = left.merge(right[[*keys, value, "n"]], on=keys, suffixes=("", "_reference"))
    both = both[both[value].notna() & both[f"{value}_reference"].notna()]
    both = both.assign(difference=both[value] - both[f"{value}_reference"], n=both["n"] + both["n_reference"])
    grouped = both.groupby(RUN, observed=True, sort=False)
    answer = grouped.agg(difference=("difference", "mean"), n=("n", "sum"), seeds=("difference", "size"))
    return answer.reset_index()


def clusters(runs: pd.DataFrame) -> np.ndarray:
    """Which independent cluster each row (cell × learning run) belongs to, shape (rows,).

    Two rows depend on each other when they share a learned pool (source and learning run) or environment seeds (task
    and learning run); clusters are the connected pieces. Within one task they are its learning runs; where a pool is
    tried on several tasks, they are the learning runs across those tasks.
    """
    seeds = runs["task"].astype("str") + "\0" + runs["learning_run"].astype("str")
    pools = runs["source_agent"].astype("str") + "\0" + runs["source_task"].astype("str")
    pools = np.where(runs["source_task"].astype("str") == "", "", pools + "\0" + runs["learning_run"].astype("str"))
    seed_codes, seed_names = pd.factorize(seeds)
    pool_codes, pool_names = pd.factorize(np.where(pools == "", "seeds only\0" + seeds, pools))
    size = len(seed_names) + len(pool_names)
    links = coo_array((np.ones(len(runs)), (seed_codes, len(seed_names) + pool_codes)), shape=(size, size))
    labels = cast("tuple[int, np.ndarray]", connected_components(links, directed=False))[1]
    return labels[seed_codes]


def aggregate(runs: pd.DataFrame, value: str = "difference") -> Sample:
    """One value per independent cluster, averaged over cells, then over tasks; tasks are strata where they share none."""
    frame = runs.assign(cluster=clusters(runs), task=runs["task"].astype("str"))
    by_task = frame.groupby(["cluster", "task"], observed=True)[value].mean().reset_index()
    spans = by_task.groupby("cluster")["task"].size()
    if int(spans.max()) > 1:
        values = by_task.groupby("cluster")[value].mean().to_numpy(float)
        return Sample(values, Layout.single(len(values)), int(runs["n"].sum()))
    by_task = by_task.sort_values("task", kind="stable")
    strata = pd.factorize(by_task["task"])[0].astype(np.int64)
    return Sample(by_task[value].to_numpy(float), Layout(strata), int(runs["n"].sum()))
