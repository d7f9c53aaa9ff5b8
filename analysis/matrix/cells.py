"""Estimates of every cell: returns beside solve rate and invalid moves, and the three reuse rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.matrix.contrasts import UNLEARNED
from analysis.matrix.reuse.coverage import coverage_runs, rate_runs
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.estimates import CORRECTED, POSITIVE, REAL, SHARE, Interval, Scale, mean_intervals
from analysis.tables.run import CELL, Tables
from analysis.tables.scales import return_scale
from analysis.tables.units import relation, run_means, wide

MEASURES = {"solved": SHARE, "invalid": POSITIVE, "steps": POSITIVE}
RATES = {"per_episode": SHARE, "per_step": SHARE, "calls": POSITIVE, "memory_tokens": REAL}
COUNTED = ("solved", "per_episode")
"""Shares that are means of so many outcomes of 0 or 1 as there are episodes."""
COVERAGES = {
    "coverage": SHARE,
    "expected": SHARE,
    "corrected": CORRECTED,
    "standardised": SHARE,
    "units": POSITIVE,
    "selections": POSITIVE,
    "stored_tokens": POSITIVE,
}


def cell_table(tables: Tables, seeds: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """One row per cell: n, missing, sd (of episodes), clusters, and each measure m as m, m_low, m_high, m_method."""
    grouped = tables.episodes.groupby(CELL, observed=True, sort=True)
    table = grouped.agg(n=("return", "count"), missing=("error", "count"), sd=("return", "std"))
    answered = tables.episodes[tables.episodes["error"].isna()]
    table["clusters"] = (
        answered.groupby(CELL, observed=True)["learning_run"].nunique().reindex(table.index, fill_value=0)
    )
    runs = run_means(seeds)
    table = _with_returns(table, runs, tables, by)
    return _with_intervals(table, runs, MEASURES, by).reset_index()


def reuse_table(tables: Tables, by: Resampler) -> pd.DataFrame:
    """One row per cell that carries a stored pool: relation, coverage against chance, rates, tokens, with intervals."""
    coverage = coverage_runs(tables)
    if coverage.empty:
        measured = [name + end for name in (*COVERAGES, *RATES) for end in ("", "_low", "_high", "_method")]
        return pd.DataFrame(columns=[*CELL, "n", "clusters", *measured, "relation"])
    grouped = coverage.groupby(CELL, observed=True, sort=True)
    table = grouped.agg(n=("n", "sum"), clusters=("learning_run", "nunique"))
    table = _with_intervals(table, coverage, COVERAGES, by)
    table = _with_intervals(table, rate_runs(tables), RATES, by).reset_index()
    return table.assign(relation=relation(table))


def _with_returns(table: pd.DataFrame, runs: pd.DataFrame, tables: Tables, by: Resampler) -> pd.DataFrame:
    """Returns inside their task's range; where a task pays one of two amounts alone, their rate as a rate."""
    values, counts = (wide(runs, name).reindex(table.index) for name in ("return", "n"))
    skewed = np.broadcast_to(_skewness(table, runs, "return"), len(table))
    found: dict[int, Interval] = {}
    for task, of_task in tables.episodes.groupby(tables.episodes["task"].astype("str")):
        rows = np.flatnonzero(table.index.get_level_values("task").astype("str") == task)
        low, high = tables.ranges.get(str(task), (-np.inf, np.inf))
        paid = set(of_task["return"].dropna().unique().tolist())
        part = values.to_numpy(float)[rows]
        if paid <= {low, high} or (len(paid) == 2 and not np.isfinite(low)):
            least, most = (low, high) if np.isfinite(low) else (min(paid), max(paid))
            shares, trials = (part - least) / (most - least), counts.to_numpy(float)[rows]
            rates = mean_intervals(shares, by, SHARE, trials, learned=_learned(table)[rows])
            intervals = [_scaled(each, least, most - least) for each in rates]
        else:
            intervals = mean_intervals(part, by, return_scale(tables.ranges, [task]), skewness=skewed[rows])
        found.update(zip(rows.tolist(), intervals, strict=True))
    return _written(table, "return", [found[row] for row in range(len(table))])


def _scaled(rate: Interval, low: float, width: float) -> Interval:
    ends = {name: low + width * getattr(rate, name) for name in ("estimate", "low", "high")}
    return replace(rate, **ends)


def _with_intervals(table: pd.DataFrame, runs: pd.DataFrame, measures: dict[str, Scale], by: Resampler) -> pd.DataFrame:
    for measure, scale in measures.items():
        values = wide(runs, measure).reindex(table.index).to_numpy(float)
        trials = wide(runs, "n").reindex(table.index).to_numpy(float) if measure in COUNTED else None
        skewed = _skewness(table, runs, measure)
        _written(table, measure, mean_intervals(values, by, scale, trials, skewness=skewed, learned=_learned(table)))
    return table


def _learned(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which cells hold a learned pool, shape (cells,)."""
    return ~np.isin(table.index.get_level_values("arm").astype("str"), UNLEARNED)


def _skewness(table: pd.DataFrame, runs: pd.DataFrame, measure: str) -> Array | float:
    """Skewness of the single values of every cell; 0 where only their runs are known."""
    name = f"{measure}_skewness"
    if name not in runs:
        return 0.0
    return runs.groupby(CELL, observed=True)[name].first().reindex(table.index).fillna(0.0).to_numpy(float)


def _written(table: pd.DataFrame, measure: str, found: list[Interval]) -> pd.DataFrame:
    table[measure] = np.array([each.estimate for each in found])
    table[f"{measure}_low"] = np.array([each.low for each in found])
    table[f"{measure}_high"] = np.array([each.high for each in found])
    table[f"{measure}_method"] = [each.method for each in found]
    return table
