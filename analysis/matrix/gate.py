"""The gate: does ΔJ predict what a candidate then earns? Clusters are parents: candidates of one parent are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.matrix.learning import LEARNER
from analysis.statistics.bootstrap import Layout, Resampler, tails
from analysis.statistics.estimates import COVERAGE, Interval, mean_intervals
from analysis.tables.run import Tables

BINS = 5


@dataclass(frozen=True)
class GateCalibration:
    """Points (one per candidate), a binned curve, and sentences; frames are empty when no gate ran."""

    points: pd.DataFrame
    """learner, unit, parents, cluster, delta_J, noise, verdict, gain (of events, else the last online score)."""
    curve: pd.DataFrame
    """delta_J (bin mean), gain (bin mean), n."""
    pass_rate: Interval
    rank_correlation: Interval
    sentences: tuple[str, ...]


def gate_calibration(tables: Tables, by: Resampler) -> GateCalibration:
    """Pass rate clustered by parent; Spearman's ρ between ΔJ and the gain with a bootstrap over parents."""
    events = tables.events
    verdicts = events[(events["kind"] == "verdict") & events["delta_J"].notna()]
    source = "gain" if "gain" in events.columns else "score"
    earned = events[events[source].notna()].groupby([*LEARNER, "unit"])[source].last().rename("gain").reset_index()
    points = verdicts[[*LEARNER, "unit", "parents", "delta_J", "noise", "verdict"]]
    points = points.merge(earned, on=[*LEARNER, "unit"], how="left")
    # candidates of one parent in one learner are alike; a skill without a parent stands alone
    points["parents"] = points["parents"].fillna(points["unit"])
    points["cluster"] = points.groupby([*LEARNER, "parents"], observed=True).ngroup()
    passed = _pass_rate(points, by)
    scored = points[points["gain"].notna()]
    rho = _rank_correlation(scored, by)
    return GateCalibration(points, _curve(scored), passed, rho, _sentences(points, passed, rho))


def _pass_rate(points: pd.DataFrame, by: Resampler) -> Interval:
    if points.empty:
        return Interval(np.nan, np.nan, np.nan, by.level, "no gate verdicts", 0)
    shares = (points["verdict"] == "accepted").astype(float).groupby(points["cluster"]).mean()
    return mean_intervals(np.asarray(shares, np.float64)[None, :], by, COVERAGE)[0]


def _rank_correlation(points: pd.DataFrame, by: Resampler) -> Interval:
    parents = points["cluster"].unique()
    if len(parents) < 5 or points["delta_J"].nunique() < 3 or points["gain"].nunique() < 2:
        reason = f"no estimate: {len(points)} scored candidates of {len(parents)} parents (5 parents are needed)"
        return Interval(np.nan, np.nan, np.nan, by.level, reason, len(parents))
    rows = [np.flatnonzero((points["cluster"] == parent).to_numpy()) for parent in parents]
    ranks = np.stack([stats.rankdata(points[column]) for column in ("delta_J", "gain")])
    draws = Layout.single(len(rows)).resample(by)
    weights = np.zeros((len(draws), len(points)))
    for column, index in enumerate(rows):
        weights[:, index] = draws[:, [column]]
    low, high = tails(_weighted_correlation(ranks, weights)[None, :], by.level)
    estimate = float(_weighted_correlation(ranks, np.ones((1, len(points))))[0])
    return Interval(estimate, float(low[0]), float(high[0]), by.level, f"bootstrap of {len(rows)} parents", len(rows))


def _weighted_correlation(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    share = weights / weights.sum(axis=1, keepdims=True)
    means = share @ ranks.T
    x, y = (ranks[k] - means[:, [k]] for k in (0, 1))
    with np.errstate(invalid="ignore"):
        answer = (share * x * y).sum(axis=1) / np.sqrt((share * x**2).sum(axis=1) * (share * y**2).sum(axis=1))
    return np.nan_to_num(answer)


def _curve(points: pd.DataFrame) -> pd.DataFrame:
    if len(points) < BINS:
        return pd.DataFrame(columns=["delta_J", "gain", "n"])
    bins = pd.qcut(points["delta_J"].rank(method="first"), BINS, labels=False)
    grouped = points.groupby(bins)
    return grouped[["delta_J", "gain"]].mean().assign(n=grouped.size()).reset_index(drop=True)


def _sentences(points: pd.DataFrame, passed: Interval, rho: Interval) -> tuple[str, ...]:
    if points.empty:
        return ()
    ends = f" (95 % CI {passed.low:.0%} to {passed.high:.0%})" if np.isfinite(passed.low) else ""
    told = [f"The gate passed {passed.estimate:.0%}{ends} of {len(points)} candidates of {passed.clusters} parents."]
    if passed.estimate in (0.0, 1.0):
        told.append(f"A gate that passes {'everything' if passed.estimate else 'nothing'} decides nothing.")
    if np.isfinite(rho.estimate):
        told.append(
            f"ΔJ and the candidate's later gain have rank correlation {rho.estimate:.2f} "
            f"(95 % CI {rho.low:.2f} to {rho.high:.2f}, {rho.method})."
        )
        if rho.low <= 0:
            told.append("It is not shown that ΔJ predicts the gain.")
    else:
        told.append(f"Whether ΔJ predicts the gain: {rho.method}.")
    return tuple(told)
