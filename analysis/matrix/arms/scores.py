"""Arms over the whole matrix: mean and interquartile mean, performance profile, probability of improvement, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.matrix.contrasts import UNLEARNED, Contrast
from analysis.matrix.reuse.coverage import rate_runs
from analysis.statistics.bootstrap import Resampler, Strata
from analysis.statistics.estimates import (
    POSITIVE,
    REAL,
    SHARE,
    Interval,
    Scale,
    interquartile_mean,
    mean_intervals,
    pooled_intervals,
)
from analysis.statistics.multiplicity import holm
from analysis.statistics.significance import friedman, wilcoxon
from analysis.tables.run import CELL, Tables
from analysis.tables.scales import return_scale, widest_scale
from analysis.tables.units import RUN, aggregate, clusters, run_means, wide

PROFILE_POINTS = 41
ARM_COLUMNS = ("arm", "cells", "n", "return", "iqm", "solved", "invalid", "memory_tokens", "prompt_tokens")
"""What there is of a table of arms where no episode was answered."""


def arm_table(tables: Tables, seeds: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """One row per arm, with intervals: mean, IQM, solve rate, invalid moves, memory tokens; tokens an episode."""
    runs = run_means(seeds)
    tokens = rate_runs(tables)
    rows: list[dict[str, object]] = []
    for arm in runs["arm"].astype("str").unique().tolist():
        of_arm, spent = runs[runs["arm"] == arm], tokens[tokens["arm"] == arm]
        row: dict[str, object] = {"arm": arm, "cells": len(of_arm[CELL].drop_duplicates()), "n": int(of_arm["n"].sum())}
        row |= _named("return", _mean(of_arm, "return", return_scale(tables.ranges, of_arm["task"]), by))
        row |= _named("iqm", _within(_iqm(of_arm, by), widest_scale(tables.ranges, of_arm["task"])))
        row |= _named("solved", _mean(of_arm, "solved", SHARE, by))
        row |= _named("invalid", _mean(of_arm, "invalid", POSITIVE, by))
        row |= _named("memory_tokens", _mean(spent, "memory_tokens", REAL, by))
        row |= {name: spent[name].mean() for name in ("prompt_tokens", "completion_tokens", "thought_tokens")}
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else list(ARM_COLUMNS))


def profiles(seeds: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """Performance profile: share of scores above τ, with pointwise (Wilson) intervals, per arm."""
    low, high = float(seeds["return"].min()), float(seeds["return"].max())
    taus = np.linspace(low, high, PROFILE_POINTS)[:-1] if high > low else np.array([low])
    names = [f"above {k}" for k in range(len(taus))]
    rows: list[dict[str, object]] = []
    for arm in seeds["arm"].astype("str").unique().tolist():
        of_arm = seeds[seeds["arm"] == arm]
        above = pd.DataFrame(of_arm["return"].to_numpy(float)[:, None] > taus, index=of_arm.index, columns=names)
        grouped = pd.concat([of_arm[[*RUN, "block", "n"]], above.astype(float)], axis=1).groupby(
            RUN, observed=True, sort=False
        )
        sample = aggregate(grouped[["block", "n", *names]].mean().reset_index(), *names)
        found = pooled_intervals(sample.cells, by, SHARE)
        rows += [{"arm": arm, "tau": float(tau)} | _named("share", each) for tau, each in zip(taus, found, strict=True)]
    return pd.DataFrame(rows)


def normalised_scores(seeds: pd.DataFrame, ranges: Mapping[str, tuple[float, float]], by: Resampler) -> pd.DataFrame:
    """Returns as a share of their task's reward range (0 the least possible, 1 the most), one row per arm.

    Columns: arm, score (mean), iqm (interquartile mean), optimality_gap (mean shortfall from 1; Agarwal et al. 2021),
    each with its interval. Without the range of every task there are no rows.
    """
    tasks = seeds["task"].astype("str")
    if not ranges or not set(tasks) <= set(ranges):
        return pd.DataFrame(columns=["arm", "score", "iqm", "optimality_gap"])
    low, high = (tasks.map({task: bounds[k] for task, bounds in ranges.items()}).astype(float) for k in (0, 1))
    scaled = seeds.assign(**{"return": (seeds["return"] - low) / (high - low)})
    scaled = scaled.assign(gap=1 - scaled["return"].clip(upper=1.0))
    runs = run_means(scaled).merge(scaled.groupby(RUN, observed=True)["gap"].mean().reset_index(), on=RUN)
    rows: list[dict[str, object]] = []
    for arm in sorted(runs["arm"].astype("str").unique()):
        of_arm = runs[runs["arm"] == arm]
        row: dict[str, object] = {"arm": arm} | _named("score", _mean(of_arm, "return", SHARE, by))
        rows.append(
            row
            | _named("iqm", _within(_iqm(of_arm, by), SHARE))
            | _named("optimality_gap", _mean(of_arm, "gap", SHARE, by))
        )
    return pd.DataFrame(rows)


def improvements(seeds: pd.DataFrame, declared: Sequence[Contrast], by: Resampler) -> pd.DataFrame:
    """Probability that the treatment beats the reference on the same environment seed, ties counting half."""
    rows: list[dict[str, object]] = []
    for contrast in declared:
        runs = contrast.differences(seeds, "return")
        if len(runs):
            rows.append({"contrast": contrast.name} | _named("probability", _mean(runs, "wins", SHARE, by)))
    return pd.DataFrame(rows)


def ranks(cells: pd.DataFrame, by: Resampler) -> tuple[str, pd.DataFrame]:
    """Friedman's test over targets (agent × task) that hold every arm, then pairwise Wilcoxon with Holm's adjustment.

    Here a target is one datum and arms are methods: another question than the contrasts', which generalise over runs.
    """
    blocks = cells.pivot_table(index=["agent", "task"], columns="arm", values="return", observed=True).dropna()
    test = friedman(blocks.to_numpy(float))
    names = [str(name) for name in blocks.columns]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[:i]]
    sentence = f"{test.method}: p = {test.p:.3g}" if np.isfinite(test.p) else test.method
    if not pairs or not np.isfinite(test.p):
        return sentence, pd.DataFrame(columns=["first", "second", "difference", "p", "p_adjusted"])
    tests = [wilcoxon((blocks[a] - blocks[b]).to_numpy(float), by) for a, b in pairs]
    p = np.array([each.p for each in tests])
    frame = pd.DataFrame(pairs, columns=["first", "second"])
    frame["difference"] = [float((blocks[a] - blocks[b]).mean()) for a, b in pairs]
    return sentence, frame.assign(p=p, p_adjusted=holm(p))


def _mean(runs: pd.DataFrame, value: str, scale: Scale, by: Resampler) -> Interval:
    known = runs[runs[value].notna()]
    if known.empty:
        return Interval(np.nan, np.nan, np.nan, by.level, "no data", 0)
    if value == "solved" and len(known[CELL].drop_duplicates()) == 1:
        values, trials = (wide(known, name).to_numpy(float) for name in (value, "n"))
        return mean_intervals(values, by, scale, trials, learned=known["arm"].iloc[0] not in UNLEARNED)[0]
    return pooled_intervals(aggregate(known, value).cells, by, scale)[0]


def _iqm(runs: pd.DataFrame, by: Resampler) -> Interval:
    """Over one score per (learning run, task), the mean over cells."""
    frame = runs.assign(cluster=clusters(runs), task=runs["task"].astype("str"))
    scores = frame.groupby(["task", "cluster"], observed=True)["return"].mean()
    by_task = scores.unstack("task")
    if len(by_task) and bool(by_task.notna().all(axis=None)):
        return interquartile_mean(by_task.to_numpy(float), Strata.single(len(by_task)), by)
    strata = pd.factorize(scores.index.get_level_values("task"))[0].astype(np.int64)
    return interquartile_mean(scores.to_numpy(float)[:, None], Strata(strata), by)


def _within(each: Interval, scale: Scale) -> Interval:
    return replace(each, low=float(np.maximum(each.low, scale.low)), high=float(np.minimum(each.high, scale.high)))


def _named(name: str, each: Interval) -> dict[str, object]:
    ends = {f"{name}_low": each.low, f"{name}_high": each.high, f"{name}_method": each.method}
    return {name: each.estimate, **ends, f"{name}_clusters": each.clusters}
