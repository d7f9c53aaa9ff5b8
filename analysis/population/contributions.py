"""Roles: who gives and who takes, and whether it pays. Free riders and hubs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.population.adoption import contributions
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Scale, mean_intervals
from analysis.tables.population import LIFE, PopulationTables
from analysis.tables.scales import difference_scale

CORRELATION = Scale(-1.0, 1.0)
EFFECTS: dict[str, tuple[str, Scale | None]] = {
    "giving": ("rank correlation of skills passed on with gain", CORRELATION),
    "taking": ("rank correlation of gifts received with gain", CORRELATION),
    "connection": ("rank correlation of exchange partners with gain", CORRELATION),
    "free_riding": ("gain of members nobody took anything from, less that of the others", None),
    "hub": ("return of the best connected member less the mean of the others", None),
}
"""What is asked of every population, in words, and its range; None where that follows from the reward range."""
DIFFERENCES = {"free_riding": 2, "hub": 1}
"""Returns are differences of so many returns: a gain is one itself."""


def roles(population: PopulationTables, reference: str = "isolated") -> pd.DataFrame:
    """One row per population and member: what `contributions` tells, and what the member earned.

    Further columns: return (mean over its learning episodes), gain (that less the same member's in the `reference` arm
    of the same replicate; missing where the study has none).
    """
    answered = population.plays[population.plays["error"].isna()]
    earned = answered.groupby([*LIFE, "agent"], observed=True)["return"].mean().reset_index()
    keys = ["task", "learning_run", "agent"]
    alone = earned.loc[earned["arm"] == reference, [*keys, "return"]].rename(columns={"return": "alone"})
    both = contributions(population).merge(earned, on=[*LIFE, "agent"], how="left").merge(alone, on=keys, how="left")
    return both.assign(gain=both["return"] - both["alone"]).drop(columns="alone")


def role_effects(population: PopulationTables, by: Resampler, reference: str = "isolated") -> pd.DataFrame:
    """One row per policy that exchanges anything and effect of `EFFECTS`: its mean over populations with an interval.

    Columns: arm, effect, meaning, populations (in which it is defined), estimate, low, high, method. Correlations
    within a population need three members whose values differ.
    """
    members = roles(population, reference)
    taking = members.groupby("arm", observed=True)["received"].transform("sum") + members["adopted"]
    lives = members[taking > 0].groupby(LIFE, observed=True, sort=False)
    every = pd.DataFrame([dict(zip(LIFE, key, strict=True)) | _effects(part) for key, part in lives])
    rows: list[dict[str, Any]] = []
    for arm in [arm for arm in population.arms if len(every) and arm in set(every["arm"])]:
        part = every[every["arm"] == arm]
        for effect, (meaning, scale) in EFFECTS.items():
            bounds = scale or difference_scale(population.ranges, part["task"], DIFFERENCES[effect])
            found = mean_intervals(part[[effect]].to_numpy(float).T, by, bounds)[0]
            rows.append(
                {
                    "arm": arm,
                    "effect": effect,
                    "meaning": meaning,
                    "populations": found.clusters,
                    "estimate": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "method": found.method,
                }
            )
    columns = ["arm", "effect", "meaning", "populations", "estimate", "low", "high", "method"]
    return pd.DataFrame(rows, columns=columns)


def _effects(members: pd.DataFrame) -> dict[str, float]:
    gain = members["gain"].to_numpy(float)
    idle = members["adopted"].to_numpy(float) == 0
    degree, earned = members["degree"].to_numpy(float), members["return"].to_numpy(float)
    hub = degree == degree.max() if len(degree) else np.zeros(0, bool)
    return {
        "giving": _rank_correlation(members["passed"].to_numpy(float), gain),
        "taking": _rank_correlation(members["received"].to_numpy(float), gain),
        "connection": _rank_correlation(degree, gain),
        "free_riding": _difference(gain[idle], gain[~idle]),
        "hub": _difference(earned[hub], earned[~hub]) if hub.sum() == 1 else np.nan,
    }


def _rank_correlation(left: np.ndarray, right: np.ndarray) -> float:
    known = np.isfinite(left) & np.isfinite(right)
    left, right = left[known], right[known]
    if len(left) < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(stats.spearmanr(left, right).statistic)


def _difference(left: np.ndarray, right: np.ndarray) -> float:
    left, right = left[np.isfinite(left)], right[np.isfinite(right)]
    return float(left.mean() - right.mean()) if len(left) and len(right) else float("nan")
