"""What a population study shows: all its tables, the contrasts it declares, and sentences that claim no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.matrix.contrasts import Contrast
from analysis.population.adoption import curves, spread
from analysis.population.contagion import contagion, contagion_table, infections, scan_table
from analysis.population.contributions import role_effects, roles
from analysis.population.ratings import ratings
from analysis.population.rounds import advantage, courses, round_table
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import POSITIVE, mean_intervals
from analysis.statistics.survival import clustered_median_time, share_within
from analysis.tables.population import PopulationTables

REFERENCE = "isolated"
"""The exchange policy that others are compared with."""


@dataclass(frozen=True)
class PopulationFindings:
    """Every table of a population's report; each is documented at the function that makes it."""

    rounds: pd.DataFrame
    advantage: pd.DataFrame
    courses: pd.DataFrame
    skills: pd.DataFrame
    adoption: pd.DataFrame
    spread: pd.DataFrame
    roles: pd.DataFrame
    role_effects: pd.DataFrame
    ratings: pd.DataFrame
    poisons: pd.DataFrame
    infections: pd.DataFrame
    contagion: pd.DataFrame
    scan: pd.DataFrame
    summary: tuple[str, ...]
    """What the tables show, in plain sentences."""
    warnings: tuple[str, ...]

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables that are not empty, by the names they are written under."""
        named = {f"population_{each.name}": getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, pd.DataFrame) and len(value)}


def analyse_population(population: PopulationTables, by: Resampler) -> PopulationFindings:
    """Compute everything."""
    skills = spread(population)
    lone = reference(population.policies)
    spread_of_arms, infected = spread_table(population, skills, by), contagion_table(population, by)
    return PopulationFindings(
        rounds=round_table(population, by),
        advantage=advantage(population, by, lone),
        courses=courses(population),
        skills=skills,
        adoption=curves(population),
        spread=spread_of_arms,
        roles=roles(population, lone),
        role_effects=role_effects(population, by, lone),
        ratings=ratings(population, by),
        poisons=contagion(population),
        infections=infections(population),
        contagion=infected,
        scan=scan_table(population),
        summary=summary(population, spread_of_arms, infected),
        warnings=warnings(population),
    )


def reference(policies: pd.DataFrame) -> str:
    """The first arm in which nobody exchanges anything and nothing is planted; "" where the study has none."""
    lone = policies[(policies["exchange"] == REFERENCE) & policies["poison"].isna()]
    return str(lone["arm"].iloc[0]) if len(lone) else ""


def contrasts(policies: pd.DataFrame) -> tuple[Contrast, ...]:
    """What a population study declares beforehand, to be tested on the evaluation: one family, adjusted together."""
    lone = reference(policies)
    declared: list[Contrast] = []
    for policy in _rows(policies):
        arm = policy["arm"]
        if isinstance(policy["twin"], str):
            declared.append(Contrast(arm, policy["twin"], "What does the planted skill cost?"))
        elif lone and arm != lone and not isinstance(policy["poison"], str):
            declared.append(Contrast(arm, lone, "Is sharing better than learning alone?"))
    return tuple(declared)


def spread_table(population: PopulationTables, skills: pd.DataFrame, by: Resampler) -> pd.DataFrame:
    """One row per policy: how the skills that members made came round, the mean over populations.

    Columns: arm, populations, skills (made, per population), half_share (share of them that half of the members come to
    hold within the rounds lived), half (median rounds until then; missing where fewer than half have so far; with _low
    and _high, the latter missing where it was not reached), both by Kaplan–Meier over all skills, so that what was made
    late is not held against them; adopters and reproduction (per skill, the latter with _low and _high).
    """
    honest = skills[skills["poison"].isna()]
    means = honest.groupby(["arm", "task", "learning_run"], observed=True).agg(
        skills=("unit", "size"),
        adopters=("adopters", "mean"),
        reproduction=("reproduction", "mean"),
    )
    by_arm = means.groupby("arm", observed=True)
    table = by_arm.mean().assign(populations=by_arm.size()).reset_index()
    table = table.assign(**_half_adoption(honest, table["arm"].tolist(), by.level))
    values = means["reproduction"].unstack(["task", "learning_run"]).reindex(table["arm"])
    intervals = mean_intervals(values.to_numpy(float), by, POSITIVE)
    table["reproduction_low"] = [each.low for each in intervals]
    table["reproduction_high"] = [each.high for each in intervals]
    order = {arm: place for place, arm in enumerate(population.arms)}
    table = table.sort_values("arm", key=lambda arms: arms.map(order), ignore_index=True)
    columns = ["arm", "populations", "skills", "half_share", "half", "half_low", "half_high", "adopters"]
    return table[[*columns, "reproduction", "reproduction_low", "reproduction_high"]]


def _half_adoption(skills: pd.DataFrame, arms: list[str], level: float) -> dict[str, list[float]]:
    parts = [skills[skills["arm"] == arm] for arm in arms]
    pairs = [(part["half"].to_numpy(float), part["watched"].to_numpy(float)) for part in parts]
    populations = [
        np.asarray(part.groupby(["task", "learning_run"], observed=True).ngroup(), np.int64) for part in parts
    ]
    medians = [clustered_median_time(*pair, each, level) for pair, each in zip(pairs, populations, strict=True)]
    return {
        "half": [each.estimate for each in medians],
        "half_low": [each.low for each in medians],
        "half_high": [each.high for each in medians],
        "half_share": [share_within(*pair) for pair in pairs],
    }


def summary(population: PopulationTables, spread_of_arms: pd.DataFrame, infected: pd.DataFrame) -> tuple[str, ...]:
    """What the tables show, in plain sentences. Differences in returns are left to the tested findings."""
    size = len(population.members)
    sentences = [
        f"{size} members lived {population.rounds} rounds under {len(population.arms)} policies, "
        f"in {_populations(population)} populations."
    ]
    for row in _rows(spread_of_arms[spread_of_arms["adopters"] > 0]):
        half, reproduction = row["half"], row["reproduction"]
        later = f", half of them within {number(half, 0)} rounds of being made{_ends(row)}" if np.isfinite(half) else ""
        passed = f"; reproduction number {number(reproduction, 2)}" if np.isfinite(reproduction) else ""
        share = f"{row['half_share']:.0%} of the skills that members make come to half of the members (Kaplan–Meier)"
        sentences.append(f"{row['arm']}: {share}{later}{passed}.")
    for row in _rows(infected):
        gone = f", after {number(row['removal'], 1)} rounds in the median" if np.isfinite(row["removal"]) else ""
        sentences.append(
            f"{row['arm']}: the planted skill was held by at most {row['peak']:.0%} of the members, let in "
            f"{number(row['adopters'], 1)} times, turned away {number(row['stopped'], 1)} times and used "
            f"{number(row['calls'], 1)} times (means of {row['populations']} populations); it was gone in "
            f"{row['cleared']} of {row['populations']}{gone}."
        )
    return tuple(sentences)


def _ends(row: Mapping[str, Any]) -> str:
    """The interval of a half-adoption time, in words; its end may lie beyond the rounds that were lived."""
    if not np.isfinite(row["half_low"]):
        return ""
    last = number(row["half_high"], 0) if np.isfinite(row["half_high"]) else "more than were lived"
    return f" (CI over populations {number(row['half_low'], 0)} to {last})"


def warnings(population: PopulationTables) -> tuple[str, ...]:
    """What a reader must know before trusting a number: who was lost, what failed, which signatures were shown."""
    deeds = population.deeds
    sentences = [
        f"{row['agent']} left {row['arm']} / {row['task']} / run {row['learning_run']} in round {row['round']}, and "
        f"the others went on: {row['why']}"
        for row in _rows(deeds[deeds["kind"] == "lost"])
    ]
    alarms = deeds[deeds["kind"] == "warning"].groupby(["arm", "why"], observed=True, sort=False).size()
    sentences += [
        f"{row['arm']}: {row['why']} ({row['times']} times)" for row in _rows(alarms.rename("times").reset_index())
    ]
    failed = int(population.plays["error"].notna().sum())
    if failed:
        sentences.append(f"{failed} of {len(population.plays)} learning episodes failed and count as missing data.")
    return tuple(sentences)


def _populations(population: PopulationTables) -> int:
    return len(population.holdings[["arm", "task", "learning_run"]].drop_duplicates())


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
