"""Games played again while a memory was learned: how many are solved after k attempts, and do plans help to?

This is retry, as Reflexion's official code evaluates (2303.11366; noahshinn/reflexion 218cf0e): a game counts as soon
as one attempt at it succeeds. More attempts alone solve more games, so such a memory is compared with as many attempts
without it, never with first tries. Only games of the first iteration count: all memories met the same ones, knew
nothing before, and had their whole budget left (it holds every attempt where iterations are as many as attempts).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from analysis.findings import Finding, judge
from analysis.matrix.arms.given import CLUSTER, by_environment_seed
from analysis.matrix.contrasts import Contrast, unjudged
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import Interval, Scale, pooled_intervals
from analysis.statistics.multiplicity import holm
from analysis.tables.run import CELL, Ranges, Tables
from analysis.tables.units import aggregate, run_means, seed_means

GAME = ["agent", "task", "learning_run", "env_seed"]
OUTCOMES = ("solved", "return")
COLUMNS = ("memory", "attempts", "games", "played", "solved", "solved_low", "solved_high", "solved_method", "return")
SHARE = Scale(0.0, 1.0)


@dataclass(frozen=True)
class Retries:
    table: pd.DataFrame
    """A row per memory and number of attempts: COLUMNS. `solved`: share of games solved by then; `return`: mean of the
    best return by then; `played`: attempts at all games together, which end with the first success."""
    findings: tuple[Finding, ...]


def compare_retries(memories: Mapping[str, Tables], by: Resampler) -> Retries | None:
    """Memories that played games again, by name. None where none did.

    Each that was at hand in further attempts is compared with each that was not (`reflect = false`), after as many
    attempts as both had at most, game by game; clusters are environment seeds. All of it is one family (Holm).
    """
    series = {name: games for name, tables in memories.items() if len(games := _first_games(tables))}
    if not series:
        return None
    rows = [_row(name, games, k, by) for name, games in series.items() for k in range(1, _most(games) + 1)]
    plain = [name for name, games in series.items() if games.loc[games["attempt"] > 0, "pool"].isna().all()]
    pairs = list(product([name for name in series if name not in plain], plain))
    ranges = next(iter(memories.values())).ranges
    found = [_finding(*pair, series, outcome, by, ranges) for outcome in OUTCOMES for pair in pairs]
    p = holm(np.array([each.p for each in found]))
    family = f"{len(found)} comparisons of retries in {' and '.join(OUTCOMES)}"
    judged = (judge(each, p[number], family, "Holm") for number, each in enumerate(found))
    return Retries(pd.DataFrame(rows, columns=list(COLUMNS)), tuple(map(_told, judged)))


def _first_games(tables: Tables) -> pd.DataFrame:
    """Attempts at the games of the first iteration; none where no game was played twice."""
    played = tables.learning[tables.learning["error"].isna()]
    first = played[played["iteration"] == played["iteration"].min()]
    return first if bool((first["attempt"] > 0).any()) else first.iloc[:0]


def _most(games: pd.DataFrame) -> int:
    return int(games["attempt"].max()) + 1


def _after(games: pd.DataFrame, attempts: int) -> pd.DataFrame:
    """A row per game as `seed_means` reads it, with what was reached in so many attempts."""
    tried = games[games["attempt"] < attempts]
    reached = tried.groupby(GAME)[["return", "solved"]].max().astype(float).reset_index()
    return reached.assign(
        arm="retry",
        source_agent="",
        source_task="",
        error=None,
        invalid=0.0,
        steps=tried.groupby(GAME).size().to_numpy(),
    )


def _row(name: str, games: pd.DataFrame, attempts: int, by: Resampler) -> dict[str, object]:
    reached = _after(games, attempts)
    runs = run_means(by_environment_seed(seed_means(reached)))
    solved: Interval = pooled_intervals(aggregate(runs, "solved").cells, by, SHARE)[0]
    row: dict[str, object] = {"memory": name, "attempts": attempts, "games": len(reached)}
    row |= {"played": int(reached["steps"].sum()), "solved": solved.estimate, "solved_method": solved.method}
    return row | {"solved_low": solved.low, "solved_high": solved.high, "return": float(reached["return"].mean())}


def _finding(
    memory: str, plain: str, series: Mapping[str, pd.DataFrame], outcome: str, by: Resampler, ranges: Ranges
) -> Finding:
    attempts = min(_most(series[memory]), _most(series[plain]))
    both = [_after(series[name], attempts).assign(arm=name) for name in (memory, plain)]
    seeds = by_environment_seed(seed_means(pd.concat(both, ignore_index=True)))
    contrast = Contrast(memory, plain, f"Does {memory} help to solve a game by {attempts} attempts?")
    whole = unjudged(contrast, seeds.astype(dict.fromkeys(CELL, "str")), by, outcome=outcome, ranges=ranges)[0]
    return replace(
        whole,
        id=f"retry:{outcome}:{contrast.key}",
        kind="retry",
        subject=f"{memory} − {plain}, best of up to {attempts} attempts",
        method=whole.method.replace("learning run", CLUSTER),
        p_method=whole.p_method.replace("learning run", CLUSTER),
        cluster=CLUSTER,
        withheld="",
        margin=math.nan,
    )


def _told(found: Finding) -> Finding:
    claim = (
        " This is a claim about retry, the same game again and again; it says nothing of a first try at a fresh game."
    )
    return replace(found, sentence=found.sentence + claim)
