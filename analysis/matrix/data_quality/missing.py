"""Episodes that are not there: how many of which arm, and how far they could move a contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.findings import Finding, number, withhold
from analysis.matrix.contrasts import ARMS, CELLWISE, Contrast
from analysis.tables.run import CELL, Tables
from analysis.tables.units import RUN, SOURCE, TARGET, WITHOUT_SOURCE, aggregate

UNLIKE = 0.02
"""Difference between the missing shares of two arms from which on a contrast is warned of."""


@dataclass(frozen=True)
class Attendance:
    """What was planned and what is there, for every cell and learning run."""

    frame: pd.DataFrame
    """The cell, learning_run, planned, answered, failed, owed (never played), return, solved (sums over answered)."""
    ranges: Mapping[str, tuple[float, float]]
    """Bounds of a return, by task; empty where they are not known."""

    @classmethod
    def of(cls, tables: Tables) -> Attendance:
        """Without a plan every episode of the table counts as planned, and nothing as owed."""
        episodes = tables.episodes.assign(
            answered=tables.episodes["error"].isna(), failed=tables.episodes["error"].notna()
        )
        grouped = episodes.groupby(RUN, observed=True, sort=True)
        there = grouped[["answered", "failed", "return", "solved"]].sum().reset_index()
        there = there.astype(dict.fromkeys(CELL, "str"))
        plan = tables.plan[tables.plan["phase"] == "evaluate"]
        frame = plan[[*RUN, "episodes"]].merge(there, on=RUN, how="outer").sort_values(RUN, ignore_index=True)
        counts = ["episodes", "answered", "failed", "return", "solved"]
        frame[counts] = frame[counts].fillna(0)
        frame["planned"] = np.maximum(frame["episodes"], frame["answered"] + frame["failed"]).astype(int)
        frame["owed"] = (frame["planned"] - frame["answered"] - frame["failed"]).astype(int)
        return cls(frame.drop(columns="episodes"), tables.ranges)

    @property
    def owed(self) -> int:
        """Episodes that the study plans and nobody has played."""
        return int(self.frame["owed"].sum())

    @property
    def finished(self) -> bool:
        return self.owed == 0

    @property
    def arms(self) -> list[str]:
        """Every arm that the study plans, whether or not anything of it is there."""
        return sorted(set(self.frame["arm"]))

    def by_arm(self) -> pd.DataFrame:
        """One row per arm: planned, answered, failed, owed, and the share that is missing."""
        sums = self.frame.groupby("arm", sort=True)[["planned", "answered", "failed", "owed"]].sum().astype(int)
        return sums.assign(missing_share=1 - sums["answered"] / sums["planned"]).reset_index()


@dataclass(frozen=True)
class Gap:
    """What a contrast lacks."""

    planned: dict[str, int]
    """Episodes by arm, of the cells that the contrast compares."""
    missing: dict[str, int]
    low: float
    """The estimate, had every missing episode spoken against it as loudly as the reward range allows."""
    high: float
    pairs: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    """Every pair of treated and reference cell in a learning run, with the least and the largest mean difference that
    it can have: columns `low` and `high`."""

    def interval(self, level: float) -> tuple[float, float]:
        """From the lower end of the interval that the worst of the missing episodes would give to the upper end that
        the best would: bounds alone know nothing of chance (Imbens & Manski 2004). The bounds where there is none."""
        if self.pairs is None:
            return self.low, self.high
        low, high = aggregate(self.pairs, "low", "high").cells.pivot.interval(level)
        return float(np.fmin(low[0], self.low)), float(np.fmax(high[1], self.high))

    @property
    def any(self) -> bool:
        return sum(self.missing.values()) > 0

    @property
    def unlike(self) -> bool:
        """Whether one arm lost a larger share than the other."""
        shares = [self.missing[arm] / max(1, self.planned[arm]) for arm in self.planned]
        return max(shares) - min(shares) > UNLIKE

    @property
    def words(self) -> str:
        """As `own pool 12 of 160, no memory 0 of 160`."""
        return ", ".join(f"{ARMS.get(arm, arm)} {self.missing[arm]} of {n}" for arm, n in self.planned.items())


def gap(attendance: Attendance, contrast: Contrast, outcome: str) -> Gap:
    """Missing episodes of both arms, over all cells that the study compares.

    Bounds after Manski (1990): every missing return takes the end of the reward range that hurts, or helps, most. They
    average as the estimate does: seeds, then learning runs, cells, tasks. NaN where the range is not known.
    """
    both, keys = _pairs(attendance, contrast, outcome)
    reference = attendance.frame[attendance.frame["arm"] == contrast.reference]
    used = reference.merge(both[keys].drop_duplicates(), on=keys)
    sides = {contrast.treatment: both, contrast.reference: used}
    planned = {arm: int(rows["planned"].sum()) for arm, rows in sides.items()}
    missing = {arm: planned[arm] - int(rows["answered"].sum()) for arm, rows in sides.items()}
    by_cell = both.groupby(CELL)[["low", "high"]].mean()
    low, high = by_cell.groupby("task").mean().mean().tolist() if len(both) else (np.nan, np.nan)
    return Gap(planned, missing, float(low), float(high), both if len(both) else None)


def cell_gaps(attendance: Attendance, contrast: Contrast, outcome: str) -> dict[tuple[str, ...], Gap]:
    """As `gap`, for every treated cell by itself."""
    both, _ = _pairs(attendance, contrast, outcome)
    names = ["planned", "answered", "planned_reference", "answered_reference"]
    grouped = both.groupby(CELL)
    rows = dict(iter(grouped))
    sums = grouped[names].sum().join(grouped[["low", "high"]].mean())
    return {
        tuple(map(str, cell)): Gap(
            {contrast.treatment: int(there), contrast.reference: int(other)},
            {contrast.treatment: int(there - answered), contrast.reference: int(other - replied)},
            float(low),
            float(high),
            rows[cell],
        )
        for cell, (there, answered, other, replied, low, high) in zip(
            sums.index.tolist(), sums.itertuples(index=False), strict=True
        )
    }


def tell_missing(found: Finding, lacks: Gap, *, finished: bool) -> Finding:
    """The finding with what it lacks; its verdict is withheld where the missing episodes could overturn it."""
    told = replace(
        found,
        planned=lacks.planned,
        missing=lacks.missing,
        bound_low=lacks.low if lacks.any else np.nan,
        bound_high=lacks.high if lacks.any else np.nan,
        provisional=not finished,
    )
    if not lacks.any or found.verdict == "undecided" or not np.isfinite(lacks.low + lacks.high):
        return told
    low, high = lacks.interval(found.level)
    ends = (
        f"with them the difference could lie anywhere from {number(lacks.low)} to {number(lacks.high)}, and its "
        f"interval reach from {number(low)} to {number(high)}"
    )
    held = low > 0 or high < 0
    if found.verdict == "equivalent":
        held = -found.margin <= low and high <= found.margin
    return told if held else withhold(told, f"episodes are missing ({lacks.words}), and {ends}")


def add_missing(findings: Sequence[Finding], attendance: Attendance, declared: Sequence[Contrast]) -> list[Finding]:
    """Every finding with what its arms lack; contrasts and cells by their own episodes."""
    overall = {
        f"contrast:{outcome}:{contrast.key}": gap(attendance, contrast, outcome)
        for outcome in ("return", "solved")
        for contrast in declared
    }
    by_cell = {contrast: cell_gaps(attendance, contrast, "return") for contrast in CELLWISE}
    cells = {
        f"{contrast.question}:return:{contrast.key}:{'/'.join(cell)}": lacks
        for contrast, gaps in by_cell.items()
        for cell, lacks in gaps.items()
    }
    gains = {
        cell: lacks for contrast, gaps in by_cell.items() if contrast.question == "gain" for cell, lacks in gaps.items()
    }
    known, finished = overall | cells | _asymmetries(gains), attendance.finished
    return [
        tell_missing(each, known[each.id], finished=finished)
        if each.id in known
        else replace(each, provisional=not finished)
        for each in findings
    ]


def _asymmetries(gains: Mapping[tuple[str, ...], Gap]) -> dict[str, Gap]:
    """What a gain of one direction less that of the other lacks, by the finding's id."""
    found: dict[str, Gap] = {}
    for (arm, source, home, agent, task), there in gains.items():
        back = gains.get((arm, agent, home, source, task))
        if arm == "transfer" and home == task and source < agent and back is not None:
            planned, missing = (
                {name: counts[0][name] + counts[1][name] for name in counts[0]}
                for counts in ((there.planned, back.planned), (there.missing, back.missing))
            )
            low, high = there.low - back.high, there.high - back.low
            found[f"asymmetry:gain:pair:{source}/{agent}/{task}"] = Gap(
                planned, missing, low, high, _less(there.pairs, back.pairs)
            )
    return found


def _less(there: pd.DataFrame | None, back: pd.DataFrame | None) -> pd.DataFrame | None:
    if there is None or back is None:
        return None
    both = there.merge(back[["learning_run", "low", "high"]], on="learning_run", suffixes=("", "_back"))
    return both.assign(low=both["low"] - both["high_back"], high=both["high"] - both["low_back"])


def missing_warnings(attendance: Attendance, declared: Sequence[Contrast]) -> list[str]:
    """Contrasts whose arms lost unlike shares of their episodes."""
    lacking = [(contrast, gap(attendance, contrast, "return")) for contrast in declared]
    return [unlike_losses(contrast, lacks) for contrast, lacks in lacking if lacks.any and lacks.unlike]


def unlike_losses(contrast: Contrast, lacks: Gap) -> str:
    """What to bear in mind of arms that lost unlike shares: their difference may be one of who was lost."""
    ends = f"; at worst the difference lies between {number(lacks.low)} and {number(lacks.high)}"
    return (
        f"{contrast.name}: its arms lost unlike shares of their episodes ({lacks.words}), so it may show who "
        f"was lost, not who is better{ends if np.isfinite(lacks.low + lacks.high) else ''}."
    )


def unfinished(attendance: Attendance, learning_owed: int = 0) -> str:
    """The sentence at the top of the report of a run that is not finished; "" for one that is."""
    if attendance.finished and not learning_owed:
        return ""
    frame = attendance.frame
    parts: list[str] = []
    if attendance.owed:
        parts.append(f"{attendance.owed:,} of {int(frame['planned'].sum()):,} planned evaluation episodes are owed")
        none = frame.groupby("learning_run")["answered"].sum() == 0
        if none.any():
            parts.append(f"{int(none.sum())} of {len(none)} learning runs have none yet")
    if learning_owed:
        parts.append(f"{learning_owed:,} planned learning episodes are owed")
    return (
        f"This run is unfinished: {'; '.join(parts)}. All verdicts are provisional, and that somebody may look "
        "repeatedly while a study runs is not accounted for: decide on the finished run."
    )


def _pairs(attendance: Attendance, contrast: Contrast, outcome: str) -> tuple[pd.DataFrame, list[str]]:
    """Treated rows beside their references, with the least and the largest difference that each can have; the keys."""
    frame = attendance.frame.assign(**_ends(attendance, outcome))
    treated, reference = (frame[frame["arm"] == arm] for arm in (contrast.treatment, contrast.reference))
    by_source = contrast.reference not in WITHOUT_SOURCE and bool((reference["source_agent"] != "").any())
    keys = [*(SOURCE if by_source else []), *TARGET, "learning_run"]
    both = treated.merge(reference, on=keys, suffixes=("", "_reference"))
    low, high = both["least"] - both["most_reference"], both["most"] - both["least_reference"]
    ends = (low, high) if contrast.sign > 0 else (-high, -low)
    home = both["source_task" if by_source else "source_task_reference"]
    return both.assign(low=ends[0], high=ends[1], reference_task=home, n=both["planned"]), keys


def _ends(attendance: Attendance, outcome: str) -> dict[str, pd.Series]:
    """Least and largest possible mean of every row, given what is missing."""
    frame = attendance.frame
    unknown = (np.nan, np.nan)
    bounds = [(0.0, 1.0) if outcome == "solved" else attendance.ranges.get(task, unknown) for task in frame["task"]]
    absent = frame["planned"] - frame["answered"]
    ends = [pd.Series([pair[k] for pair in bounds], index=frame.index, dtype=float) for k in (0, 1)]
    least, most = ((frame[outcome] + (absent * end).where(absent > 0, 0.0)) / frame["planned"] for end in ends)
    return {"least": least, "most": most}
