"""Ratings: who beats whom. Bradley–Terry strengths on Elo's scale, with replicates as the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics.bootstrap import Array, Resampler
from analysis.statistics.estimates import REAL, mean_intervals
from analysis.tables.population import LIFE, PopulationTables

Numbers = NDArray[np.int64]
ELO = 400 / np.log(10)
"""Points of Elo per unit of log-odds."""
MIDDLE = 1500.0


def duels(seats: pd.DataFrame) -> pd.DataFrame:
    """One row per game and pair of seats held by different members.

    Columns: arm, task, learning_run, game, first, second (members), score (1: the first earned more, 0: less, ½: even).
    """
    keys = [*LIFE, "game"]
    both = seats[[*keys, "seat", "agent", "return"]]
    both = both.merge(both, on=keys, suffixes=("", "_other"))
    both = both[(both["seat"] < both["seat_other"]) & (both["agent"] != both["agent_other"])]
    score = 0.5 * (1 + np.sign(both["return"] - both["return_other"]))
    renamed = both.rename(columns={"agent": "first", "agent_other": "second"})
    return renamed.assign(score=score)[[*keys, "first", "second", "score"]].reset_index(drop=True)


def bradley_terry(first: Numbers, second: Numbers, score: Array, players: int, prior: float = 1.0) -> Array:
    """Strengths (players,) in log-odds, mean 0, that make these scores likeliest; a draw is half a win.

    `first` and `second` hold players' numbers. Every player is given `prior` drawn games against one of mean strength,
    so that nobody who won (or lost) everything is infinitely strong. Newton's method on the concave log-likelihood.
    """
    strengths = np.zeros(players)
    for _ in range(100):
        chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
        home = 1 / (1 + np.exp(-strengths))
        gradient = prior * (0.5 - home)
        np.add.at(gradient, first, score - chance)
        np.add.at(gradient, second, chance - score)
        weight = chance * (1 - chance)
        hessian = np.diag(prior * home * (1 - home) + 1e-12)
        np.add.at(hessian, (first, first), weight)
        np.add.at(hessian, (second, second), weight)
        np.add.at(hessian, (first, second), -weight)
        np.add.at(hessian, (second, first), -weight)
        step = np.linalg.solve(hessian, gradient)
        strengths += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return strengths - strengths.mean()


def ratings(population: PopulationTables, by: Resampler) -> pd.DataFrame:
    """One row per policy, task and member; empty where no league was played.

    Columns: arm, task, agent, kind, games, wins, draws, losses (against every other seat), win_rate (draws half),
    focal_return, background_return (means over its games in either role), elo, elo_low, elo_high, method. A rating is
    fitted within each replicate; its interval is that of the mean over replicates.
    """
    seats = population.seats
    columns = ["arm", "task", "agent", "kind", "games", "wins", "draws", "losses", "win_rate"]
    columns += ["focal_return", "background_return", "elo", "elo_low", "elo_high", "method"]
    if seats.empty:
        return pd.DataFrame(columns=columns)
    met = duels(seats)
    turned = met.rename(columns={"first": "second", "second": "first"}).assign(score=1 - met["score"])
    sides = pd.concat([met, turned])
    place = ["arm", "task", "first"]
    tally = sides.groupby(place, observed=True)["score"].agg(
        wins=lambda score: int((score == 1).sum()),
        draws=lambda score: int((score == 0.5).sum()),
        losses=lambda score: int((score == 0).sum()),
        win_rate="mean",
    )
    tally = tally.rename_axis(index={"first": "agent"})
    keys = ["arm", "task", "agent"]
    games = seats.groupby(keys, observed=True)["game"].nunique().rename("games")
    roles = seats.assign(role=np.where(seats["focal"] == 1, "focal_return", "background_return"))
    returns = roles.groupby([*keys, "role"], observed=True)["return"].mean().unstack("role")
    returns = returns.reindex(columns=["focal_return", "background_return"])
    fitted = _fitted(met).pivot_table(index=keys, columns="learning_run", values="elo", observed=True)
    intervals = mean_intervals(fitted.to_numpy(float), by, REAL)
    rows = [(each.estimate, each.low, each.high, each.method) for each in intervals]
    elo = pd.DataFrame(rows, columns=["elo", "elo_low", "elo_high", "method"], index=fitted.index)
    table = tally.join([games, returns, elo]).reset_index()
    return table.merge(population.members[["agent", "kind"]], on="agent", how="left")[columns]


def _fitted(met: pd.DataFrame) -> pd.DataFrame:
    """arm, task, learning_run, agent, elo: one fit per population."""
    parts: list[pd.DataFrame] = []
    for key, part in met.groupby(LIFE, observed=True, sort=False):
        numbers, names = pd.factorize(pd.concat([part["first"], part["second"]]))
        half = len(part)
        strengths = bradley_terry(numbers[:half], numbers[half:], part["score"].to_numpy(float), len(names))
        frame = pd.DataFrame({"agent": np.asarray(names), "elo": MIDDLE + ELO * strengths})
        life: dict[str, Any] = dict(zip(LIFE, key, strict=True))
        parts.append(frame.assign(**life))
    return pd.concat(parts, ignore_index=True)
