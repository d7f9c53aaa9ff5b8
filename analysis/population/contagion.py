"""Contagion: how far a planted harmful skill came, what it cost, and when it was gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.population.adoption import SKILL, adoptions, members_playing
from analysis.population.rounds import courses
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import POSITIVE, SHARE, Scale, mean_intervals
from analysis.statistics.survival import median_time
from analysis.tables.population import LIFE, PopulationTables
from analysis.tables.scales import difference_scale

PER_POPULATION: dict[str, Scale | None] = {
    "peak": SHARE,
    "adopters": POSITIVE,
    "stopped": POSITIVE,
    "member_rounds": POSITIVE,
    "calls": POSITIVE,
    "removal": POSITIVE,
    "heirs": POSITIVE,
    "damage": None,
}
"""Measures and their ranges; None where that follows from the reward range."""


def infections(population: PopulationTables) -> pd.DataFrame:
    """One row per population with a poison and round from its planting on.

    Columns: arm, task, learning_run, unit, round, since (rounds since the planting), holders (members that hold it),
    users (that used it), heirs (members that hold a skill made from it), playing, share (holders of those).
    """
    poisons = _poisons(population)
    playing = members_playing(population)
    size = playing.groupby([*LIFE, "round"], observed=True).size().rename("playing").reset_index()
    rounds = poisons.merge(size, on=LIFE)
    rounds = rounds[rounds["round"] >= rounds["planted"]]
    held = population.holdings.merge(playing, on=[*LIFE, "round", "agent"])
    holders = held.groupby([*SKILL, "round"], observed=True)["agent"].nunique().rename("holders")
    users = population.uses.groupby([*SKILL, "round"], observed=True)["agent"].nunique().rename("users")
    heirs = held.merge(_descendants(population, poisons), on=SKILL)
    heirs = heirs.groupby([*LIFE, "poison_unit", "round"], observed=True)["agent"].nunique()
    heirs = heirs.rename_axis(index={"poison_unit": "unit"}).rename("heirs")
    frame = rounds.set_index([*SKILL, "round"]).join([holders, users, heirs], how="left").reset_index()
    frame[["holders", "users", "heirs"]] = frame[["holders", "users", "heirs"]].fillna(0).astype(int)
    return frame.assign(since=frame["round"] - frame["planted"], share=frame["holders"] / frame["playing"])


def contagion(population: PopulationTables) -> pd.DataFrame:
    """One row per population with a poison.

    Columns: arm, task, learning_run, unit, poison, author (its bearer), planted (round), peak (most members that held
    it, as a share), adopters (members that let it in), stopped (gifts of it that a gate turned away), member_rounds
    (rounds times members that held it), calls (times it was used), removal (rounds from planting until nobody held it;
    missing where somebody still does at the end), watched (rounds from planting to the end), heirs (most members that
    held a skill made from it), damage (mean return after the planting less that of the same replicate without poison;
    missing where the study has no such arm).
    """
    course = infections(population)
    deeds = population.deeds
    held = course.groupby(SKILL, observed=True)
    last = course[course["holders"] > 0].groupby(SKILL, observed=True)["since"].max()
    gone = last.add(1).where(last < held["since"].max())
    refused = deeds[(deeds["kind"] == "verdict") & (deeds["outcome"] != "accepted") & deeds["giver"].notna()]
    facts = {
        "peak": held["share"].max(),
        "adopters": adoptions(population).groupby(SKILL, observed=True).size(),
        "stopped": refused.groupby(SKILL, observed=True).size(),
        "member_rounds": held["holders"].sum(),
        "calls": population.uses.groupby(SKILL, observed=True)["calls"].sum(),
        "removal": gone,
        "watched": held["since"].max(),
        "heirs": held["heirs"].max(),
    }
    table = _poisons(population).set_index(SKILL).join(pd.DataFrame(facts))
    counts = ["adopters", "stopped", "calls", "heirs"]
    table[counts] = table[counts].fillna(0).astype(int)
    table = table.reset_index()
    losses = damage(population)
    losses = losses[losses["since"] > 0]
    mean = losses.groupby(LIFE, observed=True)["damage"].mean().rename("damage").reset_index()
    return table.merge(mean, on=LIFE, how="left")


def damage(population: PopulationTables) -> pd.DataFrame:
    """Return with the poison less that of the same replicate without it, per population and round from the planting on.

    Columns: arm, task, learning_run, round, since, damage. The poisoned round itself (since 0) is played before it.
    """
    every = courses(population)
    twins = population.policies.loc[population.policies["twin"].notna(), ["arm", "twin", "poison_round"]]
    keys = ["task", "learning_run", "round"]
    clean = every[["arm", *keys, "return"]].rename(columns={"arm": "twin", "return": "clean"})
    both = every[["arm", *keys, "return"]].merge(twins, on="arm").merge(clean, on=["twin", *keys])
    both = both.assign(since=both["round"] - both["poison_round"], damage=both["return"] - both["clean"])
    return both.loc[both["since"] >= 0, [*LIFE, "round", "since", "damage"]].reset_index(drop=True)


def contagion_table(population: PopulationTables, by: Resampler) -> pd.DataFrame:
    """One row per poisoned policy: means over populations, each with the interval of the mean.

    Columns: arm, populations, cleared (populations in which nobody held it in the end), then per measure of
    `PER_POPULATION` its mean, _low and _high; of removal the median, by Kaplan–Meier: populations in which somebody
    still holds it are told apart from those where it went slowly.
    """
    every = contagion(population)
    rows: list[dict[str, Any]] = []
    for arm in [arm for arm in population.arms if arm in set(every["arm"])]:
        part = every[every["arm"] == arm]
        row: dict[str, Any] = {"arm": arm, "populations": len(part), "cleared": int(part["removal"].notna().sum())}
        for measure, scale in PER_POPULATION.items():
            bounds = scale or difference_scale(population.ranges, part["task"])
            interval = mean_intervals(part[[measure]].to_numpy(float).T, by, bounds)[0]
            if measure == "removal":
                interval = median_time(part[measure].to_numpy(float), part["watched"].to_numpy(float), by.level)
            row |= {measure: interval.estimate, f"{measure}_low": interval.low, f"{measure}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)


def scan_table(population: PopulationTables) -> pd.DataFrame:
    """How well a scan of words and of traces tells the planted skills from the others that were ever held.

    Columns: what (words or traces), poisons, found (of those), others, alarms (of those), sensitivity, false_alarms.
    """
    skills = population.skills[population.skills["arm"].isin(set(_poisons(population)["arm"]))]
    planted = skills["poison"].notna()
    rows: list[dict[str, Any]] = []
    for what, column in (("words", "signs"), ("traces", "traces")):
        alarm = skills[column].fillna("") != ""
        found, false = int((alarm & planted).sum()), int((alarm & ~planted).sum())
        poisons, others = int(planted.sum()), int((~planted).sum())
        rows.append(
            {
                "what": what,
                "poisons": poisons,
                "found": found,
                "others": others,
                "alarms": false,
                "sensitivity": found / poisons if poisons else math.nan,
                "false_alarms": false / others if others else math.nan,
            }
        )
    return pd.DataFrame(rows)


def _poisons(population: PopulationTables) -> pd.DataFrame:
    """arm, task, learning_run, unit, poison, author, planted (round)."""
    planted = population.deeds.loc[population.deeds["kind"] == "planted", [*SKILL, "round"]]
    known = population.skills[[*SKILL, "poison", "author"]]
    return planted.rename(columns={"round": "planted"}).merge(known, on=SKILL)


def _descendants(population: PopulationTables, poisons: pd.DataFrame) -> pd.DataFrame:
    """arm, task, learning_run, unit, poison_unit: skills made from a poison, or from one made from it, and so on."""
    rows: list[tuple[Any, ...]] = []
    for key, part in population.skills.merge(poisons[LIFE].drop_duplicates(), on=LIFE).groupby(LIFE, observed=True):
        parents = {unit: str(told).split() for unit, told in zip(part["unit"], part["parents"], strict=True)}
        here = poisons[np.logical_and.reduce([poisons[name] == value for name, value in zip(LIFE, key, strict=True)])]
        for poison in here["unit"]:
            family = {poison}
            while more := {unit for unit, of in parents.items() if unit not in family and family & set(of)}:
                family |= more
            rows += [(*key, unit, poison) for unit in family - {poison}]
    return pd.DataFrame(rows, columns=[*SKILL, "poison_unit"])
