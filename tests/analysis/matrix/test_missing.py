"""What is not there is told, first, and no verdict rests on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.matrix.contrasts import DECLARED, overall
from analysis.matrix.data_quality.missing import Attendance, Gap, add_missing, cell_gaps, gap, tell_missing
from analysis.results import Results, analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import CELL, Tables
from analysis.tables.units import RUN, seed_means
from tests.support.simulated_study import simulate

SELF = DECLARED[0]


def planned(tables: Tables) -> Tables:
    """The same tables with the plan that they fulfil, and the reward range that they keep to."""
    counts = tables.episodes.astype(dict.fromkeys(CELL, "str")).groupby(RUN).size().rename("episodes").reset_index()
    ranges = dict.fromkeys(tables.episodes["task"].astype("str").unique(), (0.0, 1.0))
    return replace(tables, plan=counts.assign(phase="evaluate"), ranges=ranges)


def without(tables: Tables, rows: pd.Series) -> Tables:
    return replace(tables, episodes=tables.episodes[~rows].reset_index(drop=True))


def lost(tables: Tables, rows: pd.Series) -> Tables:
    """Episodes that failed instead of being never played."""
    episodes = tables.episodes.copy()
    episodes.loc[rows, ["return", "solved"]] = np.nan
    episodes.loc[rows, "error"] = "server died"
    return replace(tables, episodes=episodes)


def found(tables: Tables, **options) -> Results:
    return analyse(tables, Resampler(np.random.default_rng(0), 300), **options)


def contrast(findings: Results, key: str):
    return next(each for each in findings.findings if each.id == f"contrast:return:{key}")


@pytest.fixture(scope="module")
def study() -> Tables:
    effects = {"self": 0.3, "transfer": 0.0}
    return planned(simulate(np.random.default_rng(2), tasks=("Maze",), runs=8, episodes=6, effects=effects))


@pytest.fixture(scope="module")
def null() -> Tables:
    effects = dict.fromkeys(("none", "seed", "self", "transfer", "random", "shuffled"), 0.0)
    tables = simulate(np.random.default_rng(3), tasks=("Maze",), runs=8, episodes=10, effects=effects)
    own = tables.episodes["arm"] == "self"
    tables.episodes.loc[own, "return"] = np.random.default_rng(4).uniform(0.1, 0.7, int(own.sum()))
    return planned(tables)


def test_a_finished_study_owes_nothing(study: Tables):
    findings = found(study)
    assert findings.unfinished == ""
    assert findings.missing == ()
    assert not any(each.provisional or each.withheld for each in findings.findings)
    assert contrast(findings, "self-none").verdict == "better"
    assert contrast(findings, "self-none").missing == {"self": 0, "none": 0}
    assert list(findings.attendance["owed"]) == [0] * 6


def test_an_unfinished_study_says_so_before_any_verdict(study: Tables):
    findings = found(without(study, study.episodes["learning_run"] >= 6))
    assert findings.unfinished.startswith("This run is unfinished: ")
    assert "2 of 8 learning runs have none yet" in findings.unfinished
    assert "look repeatedly" in findings.unfinished
    assert findings.summary[0].startswith("Provisional, for the run is unfinished: ")
    assert all(each.provisional for each in findings.findings)


def test_runs_deleted_before_the_report_decide_nothing(null: Tables):
    """Review 1.6: without its two worst runs an undecided contrast became better."""
    runs = null.episodes[null.episodes["arm"] == "self"].groupby("learning_run")["return"].mean()
    worst = runs.nsmallest(2).index
    findings = found(without(null, null.episodes["learning_run"].isin(worst)))
    assert findings.unfinished
    assert contrast(findings, "self-none").verdict == "undecided"
    assert contrast(findings, "self-none").bound_low < 0 < contrast(findings, "self-none").bound_high


@pytest.mark.parametrize("remove", [without, lost])
def test_episodes_lost_by_their_result_decide_nothing(null: Tables, remove):
    """Review 1.6: the truth is 0, and one arm's bad episodes are lost."""
    bad = (null.episodes["arm"] == "self") & (null.episodes["return"] < 0.4)
    findings = found(remove(null, bad))
    each = contrast(findings, "self-none")
    assert each.estimate > 0.05
    assert each.verdict == "undecided"
    assert "episodes are missing (own pool " in each.withheld
    assert each.sentence.startswith("Undecided: own pool − no memory: ")
    warning = next(text for text in findings.missing if text.startswith("own pool − no memory"))
    assert "its arms lost unlike shares of their episodes (own pool " in warning
    assert "no memory 0 of" in warning
    cells = [cell for cell in findings.findings if cell.kind == "gain" and cell.cell["arm"] == "self"]
    assert all(cell.verdict == "undecided" for cell in cells)


def test_failures_lost_are_no_gain_by_chance_either():
    """Two arms that are alike, solved or not, one of which loses failures: at worst they are as they were, so that a
    bound above 0 is a toss of a coin, and an interval is asked for instead."""
    rng, bare, held = np.random.default_rng(7), 0, 0
    for _ in range(25):
        tables = simulate(rng, agents=("ada",), tasks=("Maze",), runs=8, episodes=10)
        kept = tables.episodes[tables.episodes["arm"].isin(["none", "self"])].reset_index(drop=True)
        solved = (rng.random(len(kept)) < 0.5).astype(float)
        tables = planned(replace(tables, episodes=kept.assign(**{"return": solved, "solved": solved})))
        failures = (kept["arm"] == "self") & (solved < 0.5) & (rng.random(len(kept)) < 0.5)
        there = lost(tables, failures)
        seeds, attendance = seed_means(there.episodes), Attendance.of(there)
        (first,) = overall(seeds, (SELF,), Resampler(rng, 99), ranges=there.ranges)
        (told,) = add_missing([first], attendance, (SELF,))
        bare += first.verdict == "better" and told.bound_low > 0
        held += told.verdict != "undecided"
    assert bare >= 4
    assert held <= 2


def test_one_lost_episode_does_not_shake_a_clear_verdict(study: Tables):
    first = pd.Series(study.episodes.index == study.episodes[study.episodes["arm"] == "self"].index[0])
    each = contrast(found(lost(study, first)), "self-none")
    assert each.verdict == "better"
    assert each.missing == {"self": 1, "none": 0}
    assert 0 < each.bound_low < each.estimate


def test_bounds_are_those_of_the_worst_and_the_best_that_could_have_been(study: Tables):
    rows = pd.Series(np.random.default_rng(0).random(len(study.episodes)) < 0.3)
    tables = lost(study, rows)
    lacks = gap(Attendance.of(tables), SELF, "return")

    def estimate(of_self: float, of_none: float) -> float:
        episodes = study.episodes.copy()
        for arm, value in (("self", of_self), ("none", of_none)):
            episodes.loc[rows & (episodes["arm"] == arm), "return"] = value
        runs = episodes.groupby(RUN, observed=True)["return"].mean().reset_index()
        both = runs[runs["arm"] == "self"].merge(runs[runs["arm"] == "none"], on=["agent", "task", "learning_run"])
        return float((both["return_x"] - both["return_y"]).mean())

    assert lacks.low == pytest.approx(estimate(0.0, 1.0))
    assert lacks.high == pytest.approx(estimate(1.0, 0.0))
    assert lacks.missing == {arm: int((rows & (study.episodes["arm"] == arm)).sum()) for arm in ("self", "none")}
    cells = cell_gaps(Attendance.of(tables), SELF, "return")
    assert np.mean([each.low for each in cells.values()]) == pytest.approx(lacks.low)
    assert sum(each.missing["self"] for each in cells.values()) == lacks.missing["self"]


def test_equivalence_needs_the_missing_inside_the_margin(study: Tables):
    each = replace(contrast(found(study), "self-none"), verdict="equivalent", margin=0.05)
    near = Gap({"self": 100, "none": 100}, {"self": 1, "none": 0}, -0.01, 0.01)
    assert tell_missing(each, near, finished=True).verdict == "equivalent"
    assert tell_missing(each, replace(near, high=0.06), finished=True).verdict == "undecided"


def test_without_a_known_range_nothing_is_bounded(study: Tables):
    tables = replace(lost(study, study.episodes["episode"] == 0), ranges={})
    each = contrast(found(tables), "self-none")
    assert np.isnan(each.bound_low)
    assert each.missing == {"self": 16, "none": 16}
    assert each.verdict == "better"
