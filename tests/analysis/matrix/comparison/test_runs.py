"""Runs joined on what they have in common, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.matrix.comparison.runs import CompareError, compare
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
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
