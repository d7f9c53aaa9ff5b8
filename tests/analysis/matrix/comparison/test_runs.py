"""Runs joined on what they have in common, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.matrix.comparison.runs import CompareError, compare
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import CELL, Tables
from analysis.tables.units import RUN
from tests.support.simulated_study import simulate


def text_keys(tables: Tables, **changes) -> Tables:
    frame = tables.episodes.astype({"arm": "str", "agent": "str", "task": "str"}).assign(**changes)
    return Tables.of(frame, invocations=tables.invocations, pools=tables.pools)


def test_compare_recovers_the_difference_of_two_runs(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=8)
    second = text_keys(first, **{"return": first.episodes["return"] + 0.1})
    found = compare({"monday": first, "tuesday": second}, by)
    assert {each.subject.split(", ")[1] for each in found.findings} >= {"no memory", "own pool"}
    assert all(each.estimate == pytest.approx(0.1) for each in found.findings)
    assert all(each.verdict == "better" for each in found.findings)


def test_compare_pairs_single_agents_of_other_names(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=7, agents=("small",))
    own = first.episodes["source_agent"] == "small"
    second = text_keys(first, agent="large", source_agent=np.where(own, "large", ""))
    assert all(each.estimate == 0 for each in compare({"a": first, "b": second}, by).findings)


def test_a_task_that_was_another_game_is_left_out_and_named(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=6, tasks=("Maze", "Duel"), episodes=3)
    games = {"Maze": {"textarena": "0.7.4"}, "Duel": {"opponent": "scripted:random", "steps": "20"}}
    before = replace(first, games=games)
    after = replace(text_keys(first, run="b"), games=games | {"Duel": {"opponent": "qwen"}})
    after = replace(after, episodes=after.episodes.assign(**{"return": after.episodes["return"] + 0.1}))
    found = compare({"a": before, "b": after}, by)
    (sentence,) = found.refusals
    assert sentence == (
        "a and b: the task “Duel” is left out, for it was another game (opponent scripted:random in a, qwen in b)."
    )
    paired = first.episodes[(first.episodes["task"] == "Maze") & (first.episodes["arm"] == "none")]
    assert next(each for each in found.findings if "no memory" in each.subject).n_episodes == 2 * len(paired)
    with pytest.raises(CompareError, match="another game"):
        compare(
            {"a": before, "b": replace(after, games={name: {"opponent": "qwen", "textarena": "1"} for name in games})},
            by,
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "Elsewhere"}, "they share no task"),
        ({"arm": "rag"}, "they share no arm"),
        ({"env_seed": 10**6}, "environment seeds differ"),
    ],
)
def test_compare_refuses_with_the_reason(by: Resampler, changes, reason):
    first = simulate(np.random.default_rng(5), runs=2, tasks=("Maze",), episodes=3)
    frame = first.episodes.astype({"arm": "str", "agent": "str", "task": "str"})
    if "arm" in changes:
        frame = frame[frame["arm"] == "none"]
    if "env_seed" in changes:
        changes = {"env_seed": frame["env_seed"] + changes["env_seed"]}
    with pytest.raises(CompareError, match=reason):
        compare({"a": first, "b": Tables.of(frame.assign(**changes))}, by)


def test_compare_needs_two(by: Resampler, study: Tables):
    with pytest.raises(CompareError, match="needs two runs, not 1"):
        compare({"a": study}, by)


def both(first: Tables, second: Tables, by: Resampler) -> tuple[dict, tuple[str, ...]]:
    """Findings by arm, and what is told first."""
    found = compare({"a": first, "b": second}, by)
    return {each.id.rpartition(":")[2]: each for each in found.findings}, found.missing


def test_runs_whose_good_pools_may_be_unmet_are_not_said_to_be_worse(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=8, agents=("ada",), tasks=("Maze",))
    found, missing = both(first, text_keys(first, **{"return": first.episodes["return"] - 0.1}), by)
    assert found["none"].verdict == found["seed"].verdict == "worse"
    assert found["self"].verdict == "undecided"
    assert "8 learned pools were met" in found["self"].withheld
    assert missing == ()


def test_one_run_that_holds_most_of_the_spread_decides_no_comparison(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=12, agents=("ada",), tasks=("Maze",))
    odd = np.where(first.episodes["learning_run"] == 3, -0.3, 0.3) + 0.01 * first.episodes["learning_run"]
    found, _ = both(first, text_keys(first, **{"return": first.episodes["return"] + odd}), by)
    assert found["none"].p_adjusted < 0.05
    assert found["none"].verdict == "undecided"
    assert "one of them speaks against it" in found["none"].withheld


def test_bad_episodes_lost_in_one_run_are_no_improvement(by: Resampler):
    ranges = {"Maze": (0.0, 1.0)}
    first = replace(simulate(np.random.default_rng(5), runs=8, agents=("ada",), tasks=("Maze",)), ranges=ranges)
    again = simulate(np.random.default_rng(6), runs=8, agents=("ada",), tasks=("Maze",)).episodes.copy()
    bad = (again["arm"] == "none") & (again["return"] < 0.45)
    again.loc[bad, ["return", "solved"]] = np.nan
    again.loc[bad, "error"] = "server died"
    found, missing = both(first, replace(first, episodes=again), by)
    assert found["none"].p_adjusted < 0.05
    assert found["none"].estimate > 0.05
    assert found["none"].verdict == "undecided"
    assert f"run b {int(bad.sum())} of 80, run a 0 of 80" in found["none"].withheld
    assert [sentence for sentence in missing if "b − a, no memory: its arms lost unlike shares" in sentence]


def test_a_comparison_with_an_unfinished_run_says_so_first(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=6, agents=("ada",), tasks=("Maze",), episodes=4)
    counts = first.episodes.astype(dict.fromkeys(CELL, "str")).groupby(RUN).size().rename("episodes").reset_index()
    plan = counts.assign(phase="evaluate")
    second = replace(text_keys(first, **{"return": first.episodes["return"] + 0.1}), plan=plan)
    kept = second.episodes[second.episodes["learning_run"] < 5].reset_index(drop=True)
    found, missing = both(replace(first, plan=plan), replace(second, episodes=kept), by)
    assert missing[0].startswith("b: This run is unfinished: ")
    assert all(each.provisional for each in found.values())
