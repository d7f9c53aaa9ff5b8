"""Estimates of every cell: returns beside solve rate and invalid moves, and the three reuse rates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.matrix.reuse import coverage_runs, rate_runs
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import CORRECTED, COVERAGE, POSITIVE, REAL, SHARE, Scale, mean_intervals
from analysis.tables.run import CELL, Tables
from analysis.tables.units import run_means, wide

MEASURES = {"return": REAL, "solved": SHARE, "invalid": POSITIVE, "steps": POSITIVE}
RATES = {"per_episode": SHARE, "per_step": SHARE, "calls": POSITIVE, "memory_tokens": REAL}
COVERAGES = {
    "coverage": COVERAGE,
    "expected": COVERAGE,
    "corrected": CORRECTED,
    "standardised": COVERAGE,
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
    return _with_intervals(table, run_means(seeds), MEASURES, by).reset_index()


def reuse_table(tables: Tables, by: Resampler) -> pd.DataFrame:
    """One row per cell that carries a stored pool: relation, coverage against chance, rates, tokens, with intervals."""
    coverage = coverage_runs(tables)
    if coverage.empty:
        return pd.DataFrame(columns=[*CELL, "relation", "n", "clusters", *COVERAGES, *RATES])
    grouped = coverage.groupby(CELL, observed=True, sort=True)
    table = grouped.agg(n=("n", "sum"), clusters=("learning_run", "nunique"))
    table = _with_intervals(table, coverage, COVERAGES, by)
    table = _with_intervals(table, rate_runs(tables), RATES, by).reset_index()
    return table.assign(relation=relation(table))


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


def _with_intervals(table: pd.DataFrame, runs: pd.DataFrame, measures: dict[str, Scale], by: Resampler) -> pd.DataFrame:
    for measure, scale in measures.items():
        values = wide(runs, measure).reindex(table.index).to_numpy(float)
        found = mean_intervals(values, by, scale)
        table[measure] = np.array([each.estimate for each in found])
        table[f"{measure}_low"] = np.array([each.low for each in found])
        table[f"{measure}_high"] = np.array([each.high for each in found])
        table[f"{measure}_method"] = [each.method for each in found]
    return table
