"""No interval of a report leaves what the reward range allows, however few and wild the learning runs are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.matrix.comparison.runs import compare
from analysis.results import Results, analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from tests.support.simulated_study import TASKS, simulate

MEANS = ("return", "iqm", "score", "share")
DIFFERENCES = ("gain", "difference", "posterior", "bca")


def wild(seed: int = 1) -> Tables:
    """Three learning runs whose returns are 0 or 1 as a whole: means near an end, spreads as wide as they can be."""
    study = simulate(np.random.default_rng(seed), runs=3, episodes=4, cross_task=True)
    rng = np.random.default_rng(seed)
    episodes, learning = (
        frame.assign(**{"return": rng.integers(0, 2, 40)[frame["learning_run"] * 7 + frame["episode"] % 3]})
        for frame in (study.episodes, study.learning)
    )
    tables = {"invocations": study.invocations, "pools": study.pools, "learning": learning, "events": study.events}
    return Tables.of(episodes, **tables, ranges=dict.fromkeys(TASKS, (0.0, 1.0)))


@pytest.fixture(scope="module", params=range(3))
def found(request) -> Results:
    return analyse(wild(request.param), Resampler(np.random.default_rng(0), 200), margin=0.1)


def ends_of(frame: pd.DataFrame, names: tuple[str, ...]) -> list[float]:
    columns = [f"{name}_{end}" for name in names for end in ("low", "high") if f"{name}_{end}" in frame]
    return frame[columns].to_numpy(float).ravel().tolist()


def test_means_keep_to_the_range_and_differences_to_its_width(found: Results):
    for name, frame in found.frames().items():
        for end in ends_of(frame, MEANS):
            assert np.isnan(end) or 0 <= end <= 1, name
        for end in ends_of(frame, DIFFERENCES):
            assert np.isnan(end) or -1 <= end <= 1, name
    curves = found.curves[["low", "high"]].to_numpy(float)
    assert np.nanmin(curves) >= 0
    assert np.nanmax(curves) <= 1
    opinions = found.sensitivity[["low90", "high90"]].to_numpy(float)
    assert np.nanmin(opinions) >= -1
    assert np.nanmax(opinions) <= 1


def test_findings_keep_to_it(found: Results):
    for each in found.findings:
        reach = 2.0 if each.kind == "asymmetry" else 1.0
        assert not each.low < -reach, each.id
        assert not each.high > reach, each.id


def test_an_interval_would_have_left_it():
    """The check can fail: without the range the same runs give intervals beyond it."""
    tables = wild(1)
    found = analyse(replace(tables, ranges={}), Resampler(np.random.default_rng(0), 200))
    assert np.nanmin(found.curves[["low"]].to_numpy(float)) < 0


def test_a_comparison_of_runs_keeps_to_it():
    first, second = wild(1), wild(2)
    second = replace(second, episodes=second.episodes.assign(run="demo-2"))
    found = compare({"one": first, "two": second}, Resampler(np.random.default_rng(0), 200))
    assert all(not (each.low < -1 or each.high > 1) for each in found.findings)


def test_a_range_that_learning_left_is_none():
    study = wild(1)
    learning = study.learning.assign(**{"return": 2.0})
    tables = Tables.of(study.episodes, learning=learning, ranges=study.ranges)
    assert tables.ranges == {}
