"""Everything a report says, computed from the tables alone: cells, reuse, findings, warnings and a summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator

from .contrasts import DECLARED, Contrast, explore, overall
from .estimates import Interval, mean_intervals
from .findings import Finding
from .reuse import coverage_runs, invocation_shares, rate_runs
from .runs import CELL, run_means, seed_means, wide
from .significance import SIGN_FLIP_FROM, smallest_sign_flip_p
from .tables import Tables

CELL_MEASURES = {"return": (-np.inf, np.inf), "solved": (0.0, 1.0), "invalid": (0.0, np.inf), "steps": (0.0, np.inf)}
RATES = {"per_episode": (0.0, 1.0), "per_step": (0.0, 1.0), "calls": (0.0, np.inf), "memory_tokens": (-np.inf, np.inf)}
COVERAGES = {
    "coverage": (0.0, 1.0),
    "expected": (0.0, 1.0),
    "corrected": (-np.inf, 1.0),
    "standardised": (0.0, 1.0),
    "units": (0.0, np.inf),
    "selections": (0.0, np.inf),
}


@dataclass(frozen=True)
class Findings:
    """What `analyse` found. Frames have one row per cell; each measure m has columns m, m_low, m_high, m_method."""

    cells: pd.DataFrame
    reuse: pd.DataFrame
    invocations: pd.DataFrame
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    summary: tuple[str, ...]
    level: float
    resamples: int

    def rows(self) -> list[dict[str, object]]:
        """Findings as plain JSON objects."""
        return [each.row() for each in self.findings]


def analyse(
    tables: Tables,
    rng: Generator,
    *,
    resamples: int = 10_000,
    margin: float | None = None,
    declared: Sequence[Contrast] = DECLARED,
) -> Findings:
    """Compute every number of a report. `margin`: equivalence margin in return, declared before the data were seen."""
    seeds = seed_means(tables.episodes)
    bound = math.nan if margin is None else margin
    found = overall(seeds, declared, rng, margin=bound, resamples=resamples)
    found += overall(seeds, declared, rng, outcome="solved", resamples=resamples)
    found += explore(seeds, rng, margin=bound, resamples=resamples)
    return Findings(
        cells=cell_table(tables, seeds, rng, resamples),
        reuse=reuse_table(tables, rng, resamples),
        invocations=invocation_shares(tables),
        findings=tuple(found),
        warnings=tuple(warn(tables)),
        summary=tuple(each.sentence for each in found if each.kind == "contrast" and each.outcome == "return"),
        level=0.95,
        resamples=resamples,
    )


def cell_table(tables: Tables, seeds: pd.DataFrame, rng: Generator, resamples: int) -> pd.DataFrame:
    """Returns, solve rate, invalid moves and steps of every cell with intervals; n, missing, clusters, SD of episodes."""
    episodes = tables.episodes
    grouped = episodes.groupby(CELL, observed=True, sort=True)
    table = grouped.agg(n=("return", "count"), missing=("error", "count"), sd=("return", "std"))
    table["clusters"] = grouped["learning_run"].nunique()
    return _with_intervals(table, run_means(seeds), CELL_MEASURES, rng, resamples).reset_index()


def reuse_table(tables: Tables, rng: Generator, resamples: int) -> pd.DataFrame:
    """The three reuse rates of every cell that carries a pool, with intervals over learning runs."""
    coverage = coverage_runs(tables)
    if coverage.empty:
        return pd.DataFrame(columns=[*CELL, "n", "clusters", *COVERAGES, *RATES])
    grouped = coverage.groupby(CELL, observed=True, sort=True)
    table = grouped.agg(n=("n", "sum"), clusters=("learning_run", "nunique"))
    table = _with_intervals(table, coverage, COVERAGES, rng, resamples)
    return _with_intervals(table, rate_runs(tables), RATES, rng, resamples).reset_index()


def relation(cell: pd.DataFrame) -> pd.Series:
    """in-domain, cross-task, cross-agent or cross-both, of cells with a source; "" without."""
    same_agent = cell["source_agent"].astype("str") == cell["agent"].astype("str")
    same_task = cell["source_task"].astype("str") == cell["task"].astype("str")
    names = np.select(
        [cell["source_agent"].astype("str") == "", same_agent & same_task, same_agent, same_task],
        ["", "in-domain", "cross-task", "cross-agent"],
        "cross-both",
    )
    return pd.Series(names, index=cell.index)


def warn(tables: Tables) -> list[str]:
    """What a reader must know before believing a number."""
    episodes, warnings = tables.episodes, []
    missing = episodes["error"].notna()
    if missing.any():
        worst = episodes[missing].groupby(CELL, observed=True).size().idxmax()
        place = "/".join(str(part) for part in worst if part)  # type: ignore[union-attr]
        warnings.append(
            f"{int(missing.sum())} of {len(episodes)} episodes failed for technical reasons and are missing data, "
            f"not zeros (most in {place}); a cell's coverage is shown beside it."
        )
    runs = episodes.groupby(CELL, observed=True)["learning_run"].nunique()
    if int(runs.max()) < SIGN_FLIP_FROM:
        floor = smallest_sign_flip_p(int(runs.max()))
        warnings.append(
            f"Each cell rests on {int(runs.max())} learning run{'s' * (int(runs.max()) != 1)}. Fewer than "
            f"{SIGN_FLIP_FROM} cannot reach p < .05 by sign flips (at best {floor:.4g}): cell verdicts stay undecided."
        )
    if runs.min() != runs.max():
        warnings.append(
            f"Cells have unequal numbers of learning runs ({runs.min()} to {runs.max()}); each run weighs the same."
        )
    for arm in ("none", "random", "shuffled"):
        if arm not in set(episodes["arm"].astype("str")):
            warnings.append(f"The arm {arm!r} is absent: {_lost(arm)}.")
    dead = episodes.groupby("arm", observed=True)["error"].agg(lambda errors: bool(errors.notna().all()))
    warnings += [f"The arm {arm!r} has no answered episode; nothing is said about it." for arm in dead[dead].index]
    dropped = int((episodes["dropped_turns"] > 0).sum())
    if dropped:
        warnings.append(f"In {dropped} episodes the context was full and the oldest turns were left out of the prompt.")
    return warnings


def _lost(arm: str) -> str:
    return {
        "none": "no gain over no memory can be computed",
        "random": "reuse and return cannot be told from a random selector's",
        "shuffled": "the effect of a skill's content cannot be told from that of having one",
    }[arm]


def _with_intervals(
    table: pd.DataFrame, runs: pd.DataFrame, measures: dict[str, tuple[float, float]], rng: Generator, resamples: int
) -> pd.DataFrame:
    for measure, limits in measures.items():
        values = wide(runs, measure).reindex(table.index)
        found: list[Interval] = mean_intervals(values.to_numpy(float), rng, resamples=resamples, limits=limits)
        table[measure] = [each.estimate for each in found]
        table[f"{measure}_low"] = [each.low for each in found]
        table[f"{measure}_high"] = [each.high for each in found]
        table[f"{measure}_method"] = [each.method for each in found]
    return table
