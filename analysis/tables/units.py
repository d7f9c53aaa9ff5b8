"""From episodes to one value per learning run: the datum of every estimate and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from analysis.statistics.cell_means import CellValues
from analysis.tables.run import CELL

RUN = [*CELL, "learning_run"]
SEED = [*RUN, "env_seed"]
TARGET = ["agent", "task"]
SOURCE = ["source_agent", "source_task"]
MEASURES = ["return", "solved", "invalid", "steps"]
WITHOUT_SOURCE = ("none", "seed", "self")
"""Reference arms that are matched by target alone; others (random, shuffled) also by the pool they select from."""


@dataclass(frozen=True)
class Sample:
    """What one estimate rests on."""

    cells: CellValues
    episodes: int
    """Every episode counted once, however many cells it is the reference of."""


def seed_means(episodes: pd.DataFrame) -> pd.DataFrame:
    """Means per cell, learning run and environment seed over the answered episodes.

    Column `n` counts them; `block` is the learning run, the same for runs that share environment seeds in any task.
    """
    answered = episodes[episodes["error"].isna()]
    grouped = answered.groupby(SEED, observed=True, sort=False)
    means = grouped[MEASURES].mean()
    seeds = means.assign(n=grouped.size()).reset_index()
    return seeds.assign(block=_blocks(seeds))


def run_means(seeds: pd.DataFrame) -> pd.DataFrame:
    """Means per cell and learning run, every environment seed weighing the same; column `n` counts episodes.

    Every measure m has its skewness in the cell beside it, as m_skewness.
    """
    skewed = {f"{name}_skewness": skewness(seeds, name) for name in MEASURES}
    grouped = seeds.assign(**skewed).groupby(RUN, observed=True, sort=False)
    means = grouped[[*MEASURES, *skewed]].mean()
    return means.assign(n=grouped["n"].sum(), block=grouped["block"].first()).reset_index()


def skewness(seeds: pd.DataFrame, value: str) -> pd.Series:
    """Skewness of a column over the environment seeds of each row's cell; 0 where fewer than three, or all equal."""
    return seeds.groupby(CELL, observed=True, sort=False)[value].transform("skew").fillna(0.0)


def wide(runs: pd.DataFrame, value: str) -> pd.DataFrame:
    """One row per cell, one column per independent learning run; NaN where a cell lacks the run."""
    keys = [key for key in CELL if key in runs.columns]
    unit = "block" if "block" in runs.columns else "learning_run"
    return runs.groupby([*keys, unit], observed=True, sort=True)[value].mean().unstack(unit)


def paired(seeds: pd.DataFrame, treatment: str, reference: str, value: str) -> pd.DataFrame:
    """Differences treatment − reference on common environment seeds, one row per treated cell and learning run.

    Columns: the treated cell, learning_run, block, difference, difference_skewness (of the cell's seeds), wins (share
    of seeds where the treatment is better, ties half), n (episodes on either side), once (the same, the reference's
    counted only where first used), treated and reference (means of either side), reference_task (where the reference's
    pool was learned, "" without one), seeds (common). Without common seeds the frame is empty.
    """
    left = seeds[seeds["arm"] == treatment]
    right = seeds[seeds["arm"] == reference]
    keys = reference_keys(right, reference)
    joined = right[[*keys, value, "n"]].assign(reference_task=right["source_task"].astype("str"))
    both = left.merge(joined, on=keys, suffixes=("", "_reference"))
    both = both[both[value].notna() & both[f"{value}_reference"].notna()]
    again = both.duplicated(keys).to_numpy()
    both = both.assign(
        treated=both[value],
        reference=both[f"{value}_reference"],
        difference=both[value] - both[f"{value}_reference"],
        once=both["n"] + both["n_reference"].where(~again, 0),
        n=both["n"] + both["n_reference"],
    )
    both["difference_skewness"] = skewness(both, "difference")
    both["wins"] = (both["difference"] > 0) + 0.5 * (both["difference"] == 0)
    grouped = both.groupby(RUN, observed=True, sort=False)
    answer = grouped.agg(
        block=("block", "first"),
        difference=("difference", "mean"),
        difference_skewness=("difference_skewness", "mean"),
        wins=("wins", "mean"),
        n=("n", "sum"),
        once=("once", "sum"),
        treated=("treated", "mean"),
        reference=("reference", "mean"),
        reference_task=("reference_task", "first"),
        seeds=("difference", "size"),
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
    """The cells of `runs` as one estimate: every run weighs the same in its cell, every cell in its task, every task.

    A measure m may have a column m_skewness: the same in every run of a cell.
    Two cells are related where they share the environment seeds of a task, or pools learned on one task (whose training
    seeds are common too), the reference's own among them.
    """
    keys = CELL if set(CELL) <= set(runs.columns) else [key for key in CELL if key in runs.columns]
    cell, block = _codes(runs, keys), _codes(runs, ["block" if "block" in runs.columns else "learning_run"])
    first = runs.iloc[np.unique(cell, return_index=True)[1]]
    shape = (len(measures), int(cell.max()) + 1, int(block.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape[1:])
    for row, measure in enumerate(measures):
        np.add.at(sums[row], (cell, block), runs[measure].to_numpy(float))
    np.add.at(counts, (cell, block), 1)
    values = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    tasks, task = np.unique(first["task"].astype("str").to_numpy(), return_inverse=True)
    weights = 1 / (len(tasks) * np.bincount(task)[task])
    episodes = int(runs["once" if "once" in runs.columns else "n"].sum())
    skewed = np.array([first.get(f"{measure}_skewness", np.zeros(len(first))) for measure in measures], float)
    return Sample(CellValues(values, weights, _related(first), skewed), episodes)


def pools_met(runs: pd.DataFrame) -> int:
    """Learned pools behind the rows, each counted once: source and independent learning run."""
    learned = runs[runs["source_task"].astype("str") != ""]
    return distinct(learned, [*SOURCE, "block"])


def _related(cells: pd.DataFrame) -> NDArray[np.bool_]:
    task = "seeds of " + cells["task"].astype("str")
    sources = ["source_task", "reference_task"]
    learned = ["pools of " + cells[key].astype("str") for key in sources if key in cells.columns]
    tags = pd.concat([task, *learned], ignore_index=True).to_numpy()
    row = np.tile(np.arange(len(cells)), 1 + len(learned))
    known = tags != "pools of "
    names, tag = np.unique(tags[known], return_inverse=True)
    incidence = np.zeros((len(cells), len(names)))
    incidence[row[known], tag] = 1
    return incidence @ incidence.T > 0


def _blocks(seeds: pd.DataFrame) -> NDArray[np.int64]:
    """The smallest learning run among those that share environment seeds with a row's own, directly or by others."""
    runs, code = np.unique(seeds["learning_run"].to_numpy(np.int64), return_inverse=True)
    if not len(runs):
        return np.zeros(0, np.int64)
    place = _codes(seeds, ["task", "env_seed"])
    size = len(runs) + int(place.max()) + 1
    links = coo_array((np.ones(len(seeds)), (code, len(runs) + place)), shape=(size, size))
    label = cast("tuple[int, NDArray[np.intp]]", connected_components(links, directed=False))[1][: len(runs)]
    _, smallest = np.unique(label, return_index=True)
    return runs[smallest][np.unique(label, return_inverse=True)[1]][code]


def distinct(frame: pd.DataFrame, columns: list[str]) -> int:
    """How many combinations of values the columns hold."""
    return int(_codes(frame, columns).max(initial=-1)) + 1


def _codes(frame: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    """What combination of values a row holds, numbered as they appear.

    As pandas' `ngroup`, at a fraction of its fixed cost: a report asks for thousands of small tables.
    """
    codes = np.zeros(len(frame), np.int64)
    for column in columns:
        values = frame[column]
        own = values.cat.codes.to_numpy() if isinstance(values.dtype, pd.CategoricalDtype) else pd.factorize(values)[0]
        codes = pd.factorize(codes * (int(own.max(initial=0)) + 1) + own)[0]
    return codes


def relation(cells: pd.DataFrame) -> list[str]:
    """in-domain, cross-task, cross-agent or cross-both, of cells with a source; "" without."""
    names: list[str] = []
    for source_agent, source_task, agent, task in cells[CELL[1:]].astype("str").itertuples(index=False):
        if not source_agent:
            names.append("")
        elif source_agent == agent:
            names.append("in-domain" if source_task == task else "cross-task")
        else:
            names.append("cross-agent" if source_task == task else "cross-both")
    return names
