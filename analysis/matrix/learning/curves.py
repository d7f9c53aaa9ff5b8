"""Learning seen from tables: curves over iterations, and the life of every skill rebuilt from events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import mean_intervals
from analysis.tables.run import Tables
from analysis.tables.scales import return_scale

LEARNER = ["agent", "task", "learning_run"]


def learning_curves(tables: Tables, by: Resampler) -> pd.DataFrame:
    """Mean return per iteration over learning runs: agent, task, iteration, return, low, high, method, runs."""
    known = tables.learning[tables.learning["return"].notna()]
    if known.empty:
        return pd.DataFrame(columns=["agent", "task", "iteration", "return", "low", "high", "method", "runs"])
    keys = ["agent", "task", "iteration"]
    runs = known.groupby([*keys, "learning_run"])["return"].mean().unstack("learning_run")
    values, tasks = runs.to_numpy(float), runs.index.get_level_values("task")
    found = [
        mean_intervals(row[None], by, return_scale(tables.ranges, [task]))[0]
        for row, task in zip(values, tasks, strict=True)
    ]
    return runs.index.to_frame(index=False).assign(
        **{"return": [each.estimate for each in found]},
        low=[each.low for each in found],
        high=[each.high for each in found],
        method=[each.method for each in found],
        runs=[each.clusters for each in found],
    )


def lineage(tables: Tables) -> pd.DataFrame:
    """One row per skill and learner: name, origin, parents, born, died (NaN: alive), end, score; times in iterations.

    Births are admissions and gifts; skills that were never admitted have no row. Skills of a pool without any event
    were there from the start.
    """
    events = tables.events
    births = events[events["kind"].isin(["admitted", "gift"])].drop_duplicates([*LEARNER, "unit"])
    columns = [*LEARNER, "unit", "name", "origin", "parents", "born", "died", "end", "score"]
    if births.empty:
        return pd.DataFrame(columns=columns)
    deaths = events[events["kind"] == "pruned"].groupby([*LEARNER, "unit"])["iteration"].max()
    scores = events[events["score"].notna()].groupby([*LEARNER, "unit"])["score"].last()
    last = events.groupby(LEARNER)["iteration"].max()
    rows = births[[*LEARNER, "unit", "kind", "parents", "iteration"]].rename(columns={"iteration": "born"})
    keys = [tuple(key) for key in rows[[*LEARNER, "unit"]].itertuples(index=False)]
    rows["died"] = [deaths.get(key, np.nan) for key in keys]
    rows["score"] = [scores.get(key, np.nan) for key in keys]
    rows["end"] = [np.nanmax([last.get(key[:3], np.nan), 0.0]) + 1 for key in keys]
    rows["end"] = rows["died"].fillna(rows["end"])
    named = tables.pools.drop_duplicates("unit")
    names = dict(zip(named["unit"], named["name"], strict=True))
    rows["name"] = [names.get(unit, unit) for unit in rows["unit"]]
    rows["parents"] = rows["parents"].fillna("")
    refined = np.where(rows["parents"] == "", "discovered", "refined")
    rows["origin"] = np.where(rows["kind"] == "gift", "given", refined)
    return rows[columns].reset_index(drop=True)
