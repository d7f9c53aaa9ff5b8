"""Reuse, reported side by side: coverage of the pool (paper B.4), per episode (section 5.1), per step (retrieval)."""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np
import pandas as pd
from scipy.special import gammaln

from analysis.statistics.bootstrap import Array
from analysis.tables.run import Tables
from analysis.tables.units import RUN


@lru_cache(maxsize=4096)
def occupancy(selections: int, units: int) -> tuple[float, ...]:
    """Chance that a uniformly random selector uses exactly 0, 1, …, `units` distinct units in `selections` draws.

    By inclusion–exclusion in whole numbers: C(M, k) Σ_j (−1)^j C(k, j) (k − j)^n / M^n.
    """
    total = units**selections
    ways = [
        comb(units, used) * sum((-1) ** j * comb(used, j) * (used - j) ** selections for j in range(used + 1))
        for used in range(units + 1)
    ]
    return tuple(way / total for way in ways)


def expected_coverage(selections: int, units: int, events: int | None = None) -> float:
    """Coverage expected from recall at random: 1 − (1 − k/M)^events, where each event recalls k = selections/events
    different units; for k = 1, as a selector of skills has it, the mean of `occupancy` over M.
    """
    if not units:
        return float("nan")
    if not selections:
        return 0.0
    events = selections if events is None else max(events, 1)
    return 1 - max(0.0, 1 - selections / events / units) ** events


def chance_corrected(observed: float, expected: float) -> float:
    """(observed − expected) / (1 − expected): 0 at chance, 1 when all is used; undefined (NaN) if chance uses all."""
    return (observed - expected) / (1 - expected) if expected < 1 - 1e-12 else float("nan")


def rarefied_coverage(calls: Array, selections: int) -> float:
    """Expected coverage had there been only `selections` of the calls (units,), chosen without replacement.

    Hurlbert's rarefaction: (1/M) Σ_u [1 − C(n − n_u, s) / C(n, s)].
    """
    total, calls = float(calls.sum()), np.asarray(calls, float)
    if selections > total:
        return float("nan")
    left = total - calls
    possible = left >= selections
    logs = _log_choose(np.where(possible, left, selections), selections) - _log_choose(total, selections)
    return float(np.mean(1 - np.where(possible, np.exp(logs), 0.0)))


def _log_choose(n: Array | float, k: int) -> Array:
    return gammaln(np.asarray(n) + 1) - gammaln(k + 1) - gammaln(np.asarray(n) - k + 1)


def coverage_runs(tables: Tables) -> pd.DataFrame:
    """Coverage per cell and learning run, against a random selector and at the common number of calls per unit.

    Columns: cell, learning_run, n (episodes), units (|M|), stored_tokens, used, selections (units recalled), coverage,
    expected, ceiling (events·k/|M|, at most 1), corrected, standardised (rarefied to the fewest selections per stored
    unit of any row that selected at all).
    """
    keyed = tables.episodes[tables.episodes["error"].isna() & tables.episodes["pool"].notna()]
    grouped = keyed.groupby(RUN, observed=True, sort=False)
    base = grouped.agg(n=("return", "size"), pool=("pool", "first"), events=("skill_calls", "sum")).reset_index()
    pools = tables.pools.drop_duplicates(["pool", "unit"]).groupby("pool")
    stored = {"units": pools.size(), "stored_tokens": pools["tokens"].sum()}
    base = base.assign(**{name: base["pool"].map(values).astype(float) for name, values in stored.items()})
    base = base[base["units"].notna() & (base["units"] > 0)].astype({"units": int})
    calls = tables.invocations.groupby([*RUN, "unit"], observed=True)["calls"].sum().reset_index()
    by_run = {key: part["calls"].to_numpy(float) for key, part in calls[calls["calls"] > 0].groupby(RUN, observed=True)}
    keys = list(base[RUN].itertuples(index=False, name=None))
    found = [by_run.get(key, np.zeros(0)) for key in keys]
    base["used"] = [min(len(part), m) for part, m in zip(found, base["units"], strict=True)]
    base["selections"] = [int(part.sum()) for part in found]
    base["coverage"] = base["used"] / base["units"]
    counts = list(zip(base["selections"], base["units"], base["events"].astype(int), strict=True))
    base["expected"] = [expected_coverage(n, m, events) for n, m, events in counts]
    base["ceiling"] = np.minimum(1.0, base["selections"] / base["units"])
    pairs = zip(base["coverage"], base["expected"], strict=True)
    base["corrected"] = [chance_corrected(seen, expected) for seen, expected in pairs]
    chances = base["selections"] / base["units"]
    common = float(chances[chances > 0].min()) if bool((chances > 0).any()) else 0.0
    padded = [np.pad(part, (0, max(0, m - len(part)))) for part, m in zip(found, base["units"], strict=True)]
    base["standardised"] = [rarefied_coverage(part, int(common * len(part))) if part.sum() else 0.0 for part in padded]
    return base.drop(columns=["pool", "events"]).reset_index(drop=True)


def rate_runs(tables: Tables) -> pd.DataFrame:
    """Share of episodes with a skill call, of steps under a skill, and tokens of memory per step, by learning run."""
    answered = tables.episodes[tables.episodes["error"].isna()]
    marked = answered.assign(called=(answered["skill_calls"] > 0).astype(float))
    grouped = marked.groupby(RUN, observed=True, sort=False)
    sums = grouped[["skill_steps", "steps"]].sum()
    rates = grouped.agg(
        per_episode=("called", "mean"), calls=("skill_calls", "mean"), memory_tokens=("memory_tokens", "mean"),
        prompt_tokens=("prompt_tokens", "mean"), completion_tokens=("completion_tokens", "mean"),
        thought_tokens=("thought_tokens", "mean"), n=("return", "size"),
    )  # fmt: skip
    return rates.assign(per_step=sums["skill_steps"] / sums["steps"].where(sums["steps"] > 0)).reset_index()


def invocation_shares(tables: Tables) -> pd.DataFrame:
    """How calls are spread over units, per evaluated agent and task (paper's Fig. 5).

    Columns: arm, source_agent, source_task, agent, task, unit, name, calls, share (of the cell's calls).
    """
    keys = RUN[:-1]
    calls = tables.invocations.groupby([*keys, "unit"], observed=True)["calls"].sum().reset_index()
    named = tables.pools.drop_duplicates("unit")
    names = dict(zip(named["unit"], named["name"], strict=True))
    totals = calls.groupby(keys, observed=True)["calls"].transform("sum")
    shares = calls["calls"] / totals.where(totals > 0)
    return calls.assign(share=shares, name=[names.get(unit, unit) for unit in calls["unit"]])
