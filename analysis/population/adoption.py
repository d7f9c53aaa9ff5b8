"""Adoption: who holds and uses whose skill, from which round on; half times and reproduction numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.tables.population import LIFE, PopulationTables

SKILL = [*LIFE, "unit"]
COMMONS = "commons"
"""Who stands in the place of a receiver when a skill goes into a shared pool."""


def curves(population: PopulationTables) -> pd.DataFrame:
    """Per skill that is not a seed, and round from its first on: how many members hold it and use it.

    Columns: arm, task, learning_run, unit, round, age (rounds since it was first held), holders, users, foreign (users
    that had it from somebody else), playing (members still there), share (holders of those).
    """
    playing = members_playing(population)
    size = playing.groupby([*LIFE, "round"], observed=True).size().rename("playing").reset_index()
    authored = population.skills.loc[population.skills["author"].notna(), SKILL]
    held = population.holdings.merge(playing, on=[*LIFE, "round", "agent"]).merge(authored, on=SKILL)
    counts = held.groupby([*SKILL, "round"], observed=True).size().rename("holders")
    used = with_source(population, population.uses).merge(authored, on=SKILL)
    used = used.assign(foreign=used["source"] == "given")
    users = used.groupby([*SKILL, "round"], observed=True).agg(users=("agent", "nunique"), foreign=("foreign", "sum"))
    first = held.groupby(SKILL, observed=True)["round"].min().rename("born").reset_index()
    every = first.merge(size, on=LIFE)
    every = every[every["round"] >= every["born"]].set_index([*SKILL, "round"])
    frame = every.join([counts, users], how="left").fillna(0).astype(int).reset_index()
    shared = frame.assign(age=frame["round"] - frame["born"], share=frame["holders"] / frame["playing"])
    return shared.drop(columns="born")


def members_playing(population: PopulationTables) -> pd.DataFrame:
    """One row per population, round and member that had not left before its end."""
    lives = population.holdings[[*LIFE, "round", "agent"]].drop_duplicates()
    lost = population.deeds.loc[population.deeds["kind"] == "lost", [*LIFE, "agent", "round"]]
    marked = lives.merge(lost.rename(columns={"round": "left"}), on=[*LIFE, "agent"], how="left")
    return marked.loc[~(marked["round"] >= marked["left"]), [*LIFE, "round", "agent"]]


def spread(population: PopulationTables) -> pd.DataFrame:
    """One row per skill that is not a seed.

    Columns: arm, task, learning_run, unit, name, author, poison, born (round), rounds (that it was held), peak (largest
    share of members that held it), half (rounds from birth until at least half of the members held it; missing where
    that had not happened yet), watched (rounds from birth to the end), gifts (times it was offered), adopters (by
    gift), first (adopters of the author's own gifts), reproduction (see `reproduction`), foreign_users (most members
    other than its author that used it in one round).
    """
    frame = curves(population)
    by_skill = frame.assign(held=frame["holders"] > 0).groupby(SKILL, observed=True)
    reached = frame[frame["share"] >= 0.5].groupby(SKILL, observed=True)["age"].min()
    table = by_skill.agg(
        born=("round", "min"),
        rounds=("held", "sum"),
        peak=("share", "max"),
        foreign_users=("foreign", "max"),
        watched=("age", "max"),
    ).assign(half=reached)
    deeds = population.deeds
    gifts = deeds[deeds["kind"] == "gift"].groupby(SKILL, observed=True).size()
    given = adoptions(population)
    adopters = given.groupby(SKILL, observed=True).size()
    direct = given[given["generation"] == 1].groupby(SKILL, observed=True).size()
    table = table.assign(gifts=gifts, adopters=adopters, first=direct, reproduction=reproduction(given))
    counts = ["gifts", "adopters", "first"]
    table[counts] = table[counts].fillna(0).astype(int)
    keys = population.skills[[*SKILL, "name", "author", "poison"]]
    answer = table.reset_index().merge(keys, on=SKILL, how="left")
    shared = set(given.loc[given["agent"] == COMMONS, "arm"])
    return answer.assign(reproduction=answer["reproduction"].fillna(0.0).mask(answer["arm"].isin(shared)))


def adoptions(population: PopulationTables) -> pd.DataFrame:
    """The provenance graph: every gift that was let in, once per receiver, with its generation (1: from the author).

    Columns: arm, task, learning_run, round, agent (receiver), giver, unit, generation. Made from events alone. What
    went through a shared pool stands there with the receiver "commons".
    """
    taken = population.deeds[(population.deeds["kind"] == "admitted") & population.deeds["giver"].notna()]
    rows: list[dict[str, Any]] = []
    generations: dict[tuple[Any, ...], int] = {}
    columns = [*LIFE, "round", "agent", "giver", "unit"]
    for row in taken[columns].itertuples(index=False, name=None):
        *life, _, agent, giver, unit = row
        generation = generations.get((*life, giver, unit), 0) + 1
        if (*life, agent, unit) not in generations:
            generations[*life, agent, unit] = generation
            rows.append(dict(zip(columns, row, strict=True)) | {"generation": generation})
    return pd.DataFrame(rows, columns=[*columns, "generation"])


def reproduction(given: pd.DataFrame) -> pd.Series:
    """Reproduction number of each skill, by SKILL: adopters that one early holder passed it to.

    Early holders are the author and those it gave to (generations 0 and 1); their offspring are generations 1 and 2.
    Later generations meet a population that has it already, and the last ones have had no time. What goes into a shared
    pool is everybody's at once and has no such number.
    """
    passed = given[given["agent"] != COMMONS].groupby([*SKILL, "generation"], observed=True).size()
    sizes = passed.unstack("generation", fill_value=0)
    first = sizes.get(1, pd.Series(0, index=sizes.index))
    second = sizes.get(2, pd.Series(0, index=sizes.index))
    return (first + second) / (1 + first)


def with_source(population: PopulationTables, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` (with arm, task, learning_run, agent, unit) and where the member had the skill from.

    New column source: seed, given (let in from somebody else, or another's in the shared pool), or own (made by itself,
    even where somebody else had made the very same before).
    """
    given = adoptions(population)[[*LIFE, "agent", "unit", "giver"]]
    shared = given.loc[given["agent"] == COMMONS, [*LIFE, "unit", "giver"]].rename(columns={"giver": "writer"})
    both = frame.merge(given, on=[*LIFE, "agent", "unit"], how="left").merge(shared, on=SKILL, how="left")
    both = both.merge(population.skills[[*SKILL, "author"]], on=SKILL, how="left")
    foreign = both["giver"].notna() | (both["writer"].notna() & (both["writer"] != both["agent"]))
    source = np.select([both["author"].isna(), foreign], ["seed", "given"], "own")
    return both.assign(source=source)[[*frame.columns, "source"]]


def contributions(population: PopulationTables) -> pd.DataFrame:
    """One row per population and member: what it gave and took.

    Columns: arm, task, learning_run, agent, authored (skills it made first), adopted (times others let in what it had
    made, from whomever), passed (times others let in what it gave), received (gifts it let in), own_calls, given_calls,
    seed_calls (uses of skills by source, see `with_source`), degree (members it gave to or took from).
    """
    playing = population.holdings[[*LIFE, "agent"]].drop_duplicates().set_index([*LIFE, "agent"])
    skills = population.skills
    authored = skills[skills["author"].notna()].groupby([*LIFE, "author"], observed=True).size()
    given = adoptions(population).merge(skills[[*SKILL, "author"]], on=SKILL, how="left")
    others = given[given["agent"] != given["author"]]
    both = pd.concat(
        [given.rename(columns={"agent": "other", "giver": "agent"}), given.rename(columns={"giver": "other"})]
    )
    calls = with_source(population, population.uses).groupby([*LIFE, "agent", "source"], observed=True)["calls"].sum()
    used = calls.unstack("source", fill_value=0).reindex(columns=["own", "given", "seed"], fill_value=0)
    columns = {
        "authored": _by(authored, "author"),
        "adopted": _by(others.groupby([*LIFE, "author"], observed=True).size(), "author"),
        "passed": _by(given.groupby([*LIFE, "giver"], observed=True).size(), "giver"),
        "received": given.groupby([*LIFE, "agent"], observed=True).size(),
        "degree": both.groupby([*LIFE, "agent"], observed=True)["other"].nunique(),
        **{f"{each}_calls": used[each] for each in used.columns},
    }
    return playing.assign(**columns).fillna(0).astype(int).reset_index()


def _by(counts: pd.Series, name: str) -> pd.Series:
    """The same counts, indexed by the member as "agent"."""
    return counts.rename_axis(index={name: "agent"})
