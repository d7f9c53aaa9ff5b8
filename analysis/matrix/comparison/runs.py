"""Runs against each other (other models, other days), on common tasks and environment seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.findings import Finding, judge
from analysis.matrix.contrasts import ARMS, UNLEARNED, Contrast, difference
from analysis.matrix.data_quality.missing import Attendance, Gap, gap, tell_missing, unfinished, unlike_losses
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.multiplicity import holm
from analysis.tables.measure import Measure, reference_spread
from analysis.tables.run import Games, Tables
from analysis.tables.units import seed_means


class CompareError(ValueError):
    """Runs that have nothing in common to compare; the message gives the reasons."""


@dataclass(frozen=True)
class Comparison:
    """Findings (second run less first, arm by arm) and what could not be compared, with the reason."""

    findings: tuple[Finding, ...]
    refusals: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Which runs are unfinished, and where missing episodes may mislead: to be read before any verdict."""


@dataclass(frozen=True)
class Versus(Contrast):
    """One arm as the second of two runs played it less the same as the first did."""

    runs: tuple[str, str] = ("", "")
    arm: str = ""

    @classmethod
    def of(cls, first: str, second: str, arm: str) -> Versus:
        return cls(_side(second), _side(first), "run", runs=(first, second), arm=arm)

    @property
    def learned(self) -> tuple[bool, bool]:
        learned = self.arm not in UNLEARNED
        return learned, learned

    @property
    def key(self) -> str:
        first, second = self.runs
        return f"{second}-{first}:{self.arm}"

    @property
    def name(self) -> str:
        first, second = self.runs
        return f"{second} − {first}, {ARMS.get(self.arm, self.arm)}"


@dataclass(frozen=True)
class _Side:
    """A run as it is paired with another."""

    name: str
    seeds: pd.DataFrame
    attendance: Attendance
    tables: Tables

    @classmethod
    def of(cls, name: str, tables: Tables) -> _Side:
        return cls(name, seed_means(tables.episodes), Attendance.of(tables), tables)

    def without(self, tasks: Collection[str]) -> _Side:
        """Without some tasks."""
        frames = (frame[~frame["task"].astype("str").isin(tasks)] for frame in (self.seeds, self.attendance.frame))
        return self._with(*frames)

    def named_as(self, other: _Side) -> _Side:
        """With its agent's name replaced by that of the other run's, where each has exactly one."""
        (mine,), (name,) = _values(self.seeds, "agent"), _values(other.seeds, "agent")
        frames = (
            frame.assign(**{key: frame[key].astype("str").replace(mine, name) for key in ("agent", "source_agent")})
            for frame in (self.seeds, self.attendance.frame)
        )
        return self._with(*frames)

    def _with(self, seeds: pd.DataFrame, attendance: pd.DataFrame) -> _Side:
        return replace(self, seeds=seeds, attendance=replace(self.attendance, frame=attendance))


_Compared = tuple[Versus, Finding, Gap]


def compare(runs: Mapping[str, Tables], by: Resampler, outcome: str = "return") -> Comparison:
    """Every pair of named runs: mean paired difference on common environment seeds, by arm; Holm over all.

    A task that was another game in either run (`Tables.games`: its opponent, …) is left out, and that is said.
    Agents of the same name are paired with each other; where two runs share no agent, each must have exactly one.
    Raises CompareError when no pair has anything in common.
    """
    if len(runs) < 2:
        raise CompareError(f"A comparison needs two runs, not {len(runs)}; name another run directory.")
    sides = [_Side.of(name, tables) for name, tables in runs.items()]
    compared: list[_Compared] = []
    refusals: list[str] = []
    for first, second in combinations(sides, 2):
        changed = _other_games(first.name, first.tables.games, second.name, second.tables.games)
        one, other = first.without(changed), second.without(changed)
        reason = _refusal(one, other)
        told = [*changed.values(), *([reason] if reason else _unmatched(one.seeds, other.seeds))]
        refusals += [f"{first.name} and {second.name}: {each}." for each in told]
        if not reason:
            compared += _by_arm(one, other, by, outcome)
    if not compared:
        raise CompareError("The runs cannot be compared. " + " ".join(refusals))
    p = holm(np.array([found.p for _, found, _ in compared], float)).tolist()
    family = f"{len(compared)} comparisons of runs"
    owed = {side.name: unfinished(side.attendance) for side in sides}
    findings = [
        tell_missing(judge(found, q, family, "Holm"), lacks, finished=not any(owed[name] for name in contrast.runs))
        for (contrast, found, lacks), q in zip(compared, p, strict=True)
    ]
    missing = [f"{name}: {sentence}" for name, sentence in owed.items() if sentence]
    missing += [unlike_losses(contrast, lacks) for contrast, _, lacks in compared if lacks.any and lacks.unlike]
    return Comparison(tuple(findings), tuple(refusals), tuple(missing))


def _by_arm(first: _Side, second: _Side, by: Resampler, outcome: str) -> Iterator[_Compared]:
    """Every arm that both runs have, before the family is known."""
    if not _values(first.seeds, "agent") & _values(second.seeds, "agent"):
        second = second.named_as(first)
    theirs = second.tables.ranges
    ranges = {task: ends for task, ends in first.tables.ranges.items() if theirs.get(task) == ends}
    measure = Measure.of(pd.concat([first.seeds, second.seeds]), outcome, math.nan, ranges)
    measure = replace(measure, spread=reference_spread(first.seeds, outcome))
    for arm in sorted(_values(first.seeds, "arm") & _values(second.seeds, "arm")):
        contrast = Versus.of(first.name, second.name, arm)
        seeds, attended = (
            pd.concat([frame[frame["arm"].astype("str") == arm].assign(arm=side) for side, frame in frames])
            for frames in (
                [(_side(each.name), each.seeds) for each in (first, second)],
                [(_side(each.name), each.attendance.frame) for each in (first, second)],
            )
        )
        played = contrast.differences(seeds, outcome)
        if len(played):
            found = difference(contrast, played, measure, by, {})
            yield contrast, found, gap(Attendance(attended, ranges), contrast, outcome)


def _side(run: str) -> str:
    """A run as an arm, of a name that no arm has."""
    return f"run {run}"


def _refusal(first: _Side, second: _Side) -> str:
    """Why two runs cannot be paired; "" where they can."""
    if first.tables.episodes.drop(columns="run").equals(second.tables.episodes.drop(columns="run")):
        return "they hold the same episodes to the last step, so one is a copy of the other"
    one, other = first.seeds, second.seeds
    return "nothing else is left to compare" if one.empty or other.empty else _nothing_common(one, other)


def _nothing_common(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Which of task, arm, environment seeds and agents two runs do not share; "" where they share all."""
    if not _values(one, "task") & _values(other, "task"):
        tasks = f"{', '.join(sorted(_values(one, 'task')))} against {', '.join(sorted(_values(other, 'task')))}"
        return f"they share no task ({tasks})"
    if not _values(one, "arm") & _values(other, "arm"):
        return "they share no arm"
    place = ["task", "learning_run", "env_seed"]
    if one[place].merge(other[place], on=place).empty:
        return "their environment seeds differ, so episodes cannot be paired; run both studies with the same seed"
    agents = _values(one, "agent"), _values(other, "agent")
    if not agents[0] & agents[1] and {len(agents[0]), len(agents[1])} != {1}:
        return "they share no agent and have several each, so it is not known which to compare with which"
    return ""


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
