"""Returns by the type of the task, where one environment poses tasks of several types."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.matrix.cells import cell_table
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from analysis.tables.units import seed_means

_BETWEEN = " · "


def type_table(tables: Tables, by: Resampler) -> pd.DataFrame | None:
    """As `cell_table`, with a row and a column `task_type` for each type in a cell; None where no task has two types.

    Types are strata: a row rests on the learning runs in which its type was met.
    """
    known = tables.episodes.dropna(subset=["task_type"])
    tasks = known["task"].astype("str")
    typed = known[known["task_type"].groupby(tasks).transform("nunique") > 1]
    if typed.empty:
        return None
    names = typed["task"].astype("str") + _BETWEEN + typed["task_type"]
    strata = typed.assign(task=names.astype("category"))
    ranges = {name: tables.ranges[task] for name in names.unique() if (task := _task(name)) in tables.ranges}
    cells = cell_table(replace(tables, episodes=strata, ranges=ranges), seed_means(strata), by)
    names = cells["task"].astype("str")
    return cells.assign(task=names.map(_task), task_type=names.str.rpartition(_BETWEEN)[2])


def _task(name: str) -> str:
    return name.rpartition(_BETWEEN)[0]
