"""Runs against each other (other models, other days), on common tasks and environment seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.findings import Finding, finding, judge
from analysis.matrix.contrasts import ARMS, effect, reference_spread
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import REAL, Scale, pooled_intervals
from analysis.statistics.multiplicity import holm
from analysis.statistics.significance import mean_test
from analysis.tables.run import CELL, Games, Tables
from analysis.tables.scales import difference_scale
from analysis.tables.units import aggregate, seed_means, skewness


class CompareError(ValueError):
    """Runs that have nothing in common to compare; the message gives the reasons."""


@dataclass(frozen=True)
class Comparison:
    """Findings (second run less first, arm by arm) and what could not be compared, with the reason."""

    findings: tuple[Finding, ...]
    refusals: tuple[str, ...]


def compare(runs: Mapping[str, Tables], by: Resampler, outcome: str = "return") -> Comparison:
    """Every pair of named runs: mean paired difference on common environment seeds, by arm; Holm over all.

    A task that was another game in either run (`Tables.games`: its opponent, …) is left out, and that is said.
    Agents of the same name are paired with each other; where two runs share no agent, each must have exactly one.
    Raises CompareError when no pair has anything in common.
    """
    if len(runs) < 2:
        raise CompareError(f"A comparison needs two runs, not {len(runs)}; name another run directory.")
    seeds = {name: seed_means(tables.episodes) for name, tables in runs.items()}
    found: list[Finding] = []
    refusals: list[str] = []
    for first, second in combinations(seeds, 2):
        changed = _other_games(first, runs[first].games, second, runs[second].games)
        one, other = (seeds[name][~seeds[name]["task"].astype("str").isin(changed)] for name in (first, second))
        keys, reason = _keys(one, other) if len(one) and len(other) else ([], "nothing else is left to compare")
        if runs[first].episodes.drop(columns="run").equals(runs[second].episodes.drop(columns="run")):
            reason = "they hold the same episodes to the last step, so one is a copy of the other"
        told = [*changed.values(), *([reason] if reason else _unmatched(one, other))]
        refusals += [f"{first} and {second}: {each}." for each in told]
        if reason:
            continue
        both = one.merge(other[[*keys, outcome, "n"]], on=keys, suffixes=("", "_second"))
        known = {task: ends for task, ends in runs[first].ranges.items() if runs[second].ranges.get(task) == ends}
        for arm, part in both.groupby(both["arm"].astype("str"), sort=True):
            spread = reference_spread(one, outcome)
            scale = difference_scale(known, part["task"]) if outcome == "return" else REAL
            found.append(_finding(part, str(arm), (first, second), outcome, by, spread, scale))
    if not found:
        raise CompareError("The runs cannot be compared. " + " ".join(refusals))
    p = holm(np.array([each.p for each in found], float)).tolist()
    family = f"{len(found)} comparisons of runs"
    return Comparison(tuple(judge(each, q, family, "Holm") for each, q in zip(found, p, strict=True)), tuple(refusals))


def _finding(
    both: pd.DataFrame, arm: str, names: tuple[str, str], outcome: str, by: Resampler, spread: float, scale: Scale
) -> Finding:
    both = both.assign(difference=both[f"{outcome}_second"] - both[outcome], n=both["n"] + both["n_second"])
    both["difference_skewness"] = skewness(both, "difference")
    grouped = both.groupby([*CELL, "learning_run"], observed=True, sort=False)
    means = grouped[["difference", "difference_skewness"]].mean()
    runs = means.assign(n=grouped["n"].sum(), block=grouped["block"].first()).reset_index()
    sample = aggregate(runs, "difference")
    interval = pooled_intervals(sample.cells, by, scale)[0]
    subject = f"{names[1]} − {names[0]}, {ARMS.get(arm, arm)}"
    return finding(
        *("run", outcome, subject, interval, mean_test(sample.cells)),
        key=f"{names[1]}-{names[0]}:{arm}",
        episodes=sample.episodes,
        effect=effect(spread),
    )


def _keys(first: pd.DataFrame, second: pd.DataFrame) -> tuple[list[str], str]:
    """Columns on which episodes of two runs are paired, or the reason why they cannot be."""
    if not _values(first, "task") & _values(second, "task"):
        tasks = f"{', '.join(sorted(_values(first, 'task')))} against {', '.join(sorted(_values(second, 'task')))}"
        return [], f"they share no task ({tasks})"
    if not _values(first, "arm") & _values(second, "arm"):
        return [], "they share no arm"
    place = ["task", "learning_run", "env_seed"]
    if first[place].merge(second[place], on=place).empty:
        return [], "their environment seeds differ, so episodes cannot be paired; run both studies with the same seed"
    if _values(first, "agent") & _values(second, "agent"):
        return [*CELL, "learning_run", "env_seed"], ""
    if len(_values(first, "agent")) == len(_values(second, "agent")) == 1:
        return ["arm", "source_task", *place], ""
    return [], "they share no agent and have several each, so it is not known which to compare with which"


def _other_games(first: str, before: Games, second: str, after: Games) -> dict[str, str]:
    """Tasks of the same name that were another game in either run, each with the sentence that says so."""
    sentences: dict[str, str] = {}
    for task in sorted(before.keys() & after.keys()):
        known = before[task].keys() & after[task].keys()
        apart = sorted(name for name in known if before[task][name] != after[task][name])
        if apart:
            how = ", ".join(
                f"{name} {before[task][name]} in {first}, {after[task][name]} in {second}" for name in apart
            )
            sentences[task] = f"the task “{task}” is left out, for it was another game ({how})"
    return sentences


def _unmatched(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    sentences: list[str] = []
    for column in ("task", "arm"):
        alone = sorted(_values(first, column) ^ _values(second, column))
        sentences += [f"the {column} “{name}” is in only one of them and is left out" for name in alone]
    return sentences


def _values(frame: pd.DataFrame, column: str) -> set[str]:
    return set(frame[column].astype("str"))
