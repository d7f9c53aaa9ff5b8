"""Runs joined on what they have in common, or refused with the reason."""

from __future__ import annotations

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
