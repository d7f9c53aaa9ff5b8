"""The gate: does ΔJ predict what a candidate then earns? Clusters are learners: candidates of one learner are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.matrix.learning.curves import LEARNER
from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.estimates import Interval
from analysis.statistics.rates import clopper_pearson
from analysis.tables.run import Tables

BINS = 5
LEAST_LEARNERS = 3
"""Learners from which a rank correlation gets an interval: the jackknife over them covers 95 to 98 %."""


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
    """Pass rate and Spearman's ρ between ΔJ and the gain, both with intervals over learners."""
    events = tables.events
    verdicts = events[(events["kind"] == "verdict") & events["delta_J"].notna()]
    source = "gain" if "gain" in events.columns else "score"
    earned = events[events[source].notna()].groupby([*LEARNER, "unit"])[source].last().rename("gain").reset_index()
    points = verdicts[[*LEARNER, "unit", "parents", "delta_J", "noise", "verdict"]]
    points = points.merge(earned, on=[*LEARNER, "unit"], how="left")
    points["parents"] = points["parents"].fillna(points["unit"])
    points["cluster"] = points.groupby(LEARNER, observed=True).ngroup()
    passed = _pass_rate(points, by)
    scored = points[points["gain"].notna()]
    rho = rank_correlation(scored, by)
    return GateCalibration(points, _curve(scored), passed, rho, _sentences(points, passed, rho))


def _pass_rate(points: pd.DataFrame, by: Resampler) -> Interval:
    """Share of candidates that pass: Clopper–Pearson's interval on their effective number (Korn & Graubard 1998)."""
    if points.empty:
        return Interval(np.nan, np.nan, np.nan, by.level, "no gate verdicts", 0)
    passed = (points["verdict"] == "accepted").astype(float)
    learners = passed.groupby(points["cluster"]).agg(["sum", "size"]).to_numpy(float)
    count, total, rate = len(learners), float(len(passed)), float(passed.mean())
    if count < 2:
        return Interval(rate, np.nan, np.nan, by.level, "no interval: 1 learner", count)
    error = np.sqrt(count / (count - 1) * ((learners[:, 0] - rate * learners[:, 1]) ** 2).sum()) / total
    tail = (1 + by.level) / 2
    shrunk = float((stats.t.ppf(tail, total - 1) / stats.t.ppf(tail, count - 1)) ** 2)
    effective = min(total, rate * (1 - rate) / error**2 * shrunk) if error > 0 else float(count)
    low, high = clopper_pearson(np.array([rate * effective]), np.array([effective]), by.level)
    return Interval(
        rate,
        float(low[0]),
        float(high[0]),
        by.level,
        f"Clopper–Pearson on the effective number, {count} learners",
        count,
    )


def rank_correlation(points: pd.DataFrame, by: Resampler) -> Interval:
    """Jackknife over learners of Fisher's z, with Student's t of one degree of freedom less than learners."""
    learners = points["cluster"].unique()
    count = len(learners)
    if count < LEAST_LEARNERS or points["delta_J"].nunique() < 3 or points["gain"].nunique() < 2:
        reason = f"no estimate: {len(points)} scored candidates of {count} learners ({LEAST_LEARNERS} are needed)"
        return Interval(np.nan, np.nan, np.nan, by.level, reason, count)
    pairs, cluster = points[["delta_J", "gain"]].to_numpy(float), points["cluster"].to_numpy()
    whole = _fisher_z(pairs)
    without = np.array([_fisher_z(pairs[cluster != learner]) for learner in learners])
    error = float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))
    reach = float(stats.t.ppf((1 + by.level) / 2, count - 1)) * error
    estimate, low, high = (float(np.tanh(value)) for value in (whole, whole - reach, whole + reach))
    return Interval(estimate, low, high, by.level, f"jackknife of {count} learners", count)


def _fisher_z(pairs: Array) -> float:
    if len(pairs) < 2 or np.ptp(pairs[:, 0]) == 0 or np.ptp(pairs[:, 1]) == 0:
        return 0.0
    return float(np.arctanh(np.clip(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic, -0.9999, 0.9999)))


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
    lines = [f"The gate passed {passed.estimate:.0%}{ends} of {len(points)} candidates of {passed.clusters} learners."]
    if passed.estimate in (0.0, 1.0):
        lines.append(f"A gate that passes {'everything' if passed.estimate else 'nothing'} decides nothing.")
    if np.isfinite(rho.estimate):
        lines.append(
            f"ΔJ and the candidate's later gain have rank correlation {rho.estimate:.2f} "
            f"(95 % CI {rho.low:.2f} to {rho.high:.2f}, {rho.method})."
        )
        if rho.low <= 0:
            lines.append("It is not shown that ΔJ predicts the gain.")
    else:
        lines.append(f"Whether ΔJ predicts the gain: {rho.method}.")
    return tuple(lines)
