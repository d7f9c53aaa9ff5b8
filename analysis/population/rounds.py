"""A population's course, round by round: returns, reuse, exchange and diversity; and what sharing was worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.population.adoption import members_playing, with_source
from analysis.population.diversity import diversity
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import mean_intervals
from analysis.tables.population import LIFE, PopulationTables
from analysis.tables.scales import difference_scale, widest_scale

ROUND = [*LIFE, "round"]
MEASURES = (
    "return",
    "solved",
    "invalid",
    "per_step",
    "given_share",
    "playing",
    "failed",
    "gifts",
    "let_in",
    "turned_away",
    "pruned",
    "skills",
    "entropy",
    "evenness",
    "overlap",
    "distance",
)


def courses(population: PopulationTables) -> pd.DataFrame:
    """One row per population and round.

    Columns: arm, task, learning_run, round; return, solved, invalid (means over members, each weighing the same),
    per_step (share of decisions under a skill), given_share (share of skill calls that went to skills had from others),
    playing (members), failed (episodes), gifts (offered), let_in, turned_away (rejected or undecided verdicts on
    gifts), pruned; and what `diversity` tells of the pools.
    """
    answered = population.plays[population.plays["error"].isna()]
    members = answered.groupby([*ROUND, "agent"], observed=True)
    means = members[["return", "solved", "invalid"]].mean().groupby(ROUND, observed=True).mean()
    steps = answered.groupby(ROUND, observed=True)[["skill_steps", "steps"]].sum()
    calls = with_source(population, population.uses).groupby([*ROUND, "source"], observed=True)["calls"].sum()
    given = calls.unstack("source", fill_value=0).reindex(columns=["own", "given", "seed"], fill_value=0)
    table = means.assign(
        per_step=steps["skill_steps"] / steps["steps"].where(steps["steps"] > 0),
        given_share=given["given"] / given.sum(axis=1).where(given.sum(axis=1) > 0),
        playing=members_playing(population).groupby(ROUND, observed=True).size(),
        failed=population.plays["error"].notna().groupby([population.plays[key] for key in ROUND], observed=True).sum(),
        **_deeds(population.deeds),
    )
    counts = ["gifts", "let_in", "turned_away", "pruned"]
    table[counts] = table[counts].fillna(0)
    pools = diversity(population).set_index(ROUND)
    return table.join(pools, how="left").reset_index()[[*ROUND, *MEASURES]]


def round_table(population: PopulationTables, by: Resampler) -> pd.DataFrame:
    """One row per policy and round: means over populations (task and replicate), the return with its interval.

    Columns: arm, round, n (populations), return, return_low, return_high, return_method, and the other `MEASURES`.
    """
    every = courses(population)
    means = every.groupby(["arm", "round"], observed=True, sort=False)[list(MEASURES)].mean()
    values = _wide(every, "return")
    intervals = mean_intervals(values.to_numpy(float), by, widest_scale(population.ranges, every["task"]))
    found = pd.DataFrame(
        {
            "n": [each.clusters for each in intervals],
            "return_low": [each.low for each in intervals],
            "return_high": [each.high for each in intervals],
            "return_method": [each.method for each in intervals],
        },
        index=values.index,
    )
    return _ordered(means.join(found).reset_index(), population)


def advantage(population: PopulationTables, by: Resampler, reference: str = "isolated") -> pd.DataFrame:
    """What each policy earned more than `reference` (an arm), round by round, paired by task and replicate.

    Columns: arm, round, n (pairs), difference, low, high, method. Empty where the study has no such arm.
    """
    every = courses(population)
    keys = ["task", "learning_run", "round"]
    base = every.loc[every["arm"] == reference, [*keys, "return"]].rename(columns={"return": "reference"})
    both = every[every["arm"] != reference].merge(base, on=keys)
    columns = ["arm", "round", "n", "difference", "low", "high", "method"]
    if both.empty:
        return pd.DataFrame(columns=columns)
    values = _wide(both.assign(difference=both["return"] - both["reference"]), "difference")
    intervals = mean_intervals(values.to_numpy(float), by, difference_scale(population.ranges, both["task"]))
    rows = [(each.clusters, each.estimate, each.low, each.high, each.method) for each in intervals]
    frame = pd.DataFrame(rows, columns=columns[2:], index=values.index).reset_index()
    return _ordered(frame, population)[columns]


def _deeds(deeds: pd.DataFrame) -> dict[str, pd.Series]:
    gifts = deeds["giver"].notna()  # a verdict without a giver is the learner's own gate on its own candidate
    away = (deeds["kind"] == "verdict") & (deeds["outcome"] != "accepted") & gifts
    kinds = {
        "gifts": deeds["kind"] == "gift",
        "let_in": (deeds["kind"] == "admitted") & gifts,
        "turned_away": away,
        "pruned": deeds["kind"] == "pruned",
    }
    return {name: deeds[chosen].groupby(ROUND, observed=True).size() for name, chosen in kinds.items()}


def _wide(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Policies and rounds × populations (task, replicate)."""
    return frame.pivot_table(index=["arm", "round"], columns=["task", "learning_run"], values=value, observed=True)


def _ordered(frame: pd.DataFrame, population: PopulationTables) -> pd.DataFrame:
    """Policies in the study's order, rounds in time."""
    order = {arm: place for place, arm in enumerate(population.arms)}
    places = np.lexsort((frame["round"].to_numpy(), frame["arm"].map(order).to_numpy()))
    return frame.iloc[places].reset_index(drop=True)
