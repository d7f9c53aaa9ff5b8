"""No chart holds more rows than it may, whatever the study; and it says what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.report.figures import limits
from analysis.report.sections.matrix import compose
from analysis.results import analyse
from analysis.statistics.bootstrap import Resampler
from tests.support.simulated_study import simulate


def rows(specification: dict) -> int:
    return max(len(data) for data in specification["datasets"].values())


@pytest.fixture(scope="module")
def large():
    """4 agents × 3 tasks × 8 runs, pools of 8 skills that differ by run: it broke the report (review 1.1)."""
    tables = simulate(
        np.random.default_rng(0), agents=("a", "b", "c", "d"), tasks=("T", "U", "V"), runs=8, episodes=2,
        cross_task=True, units=8,
    )  # fmt: skip
    own = tables.invocations
    calls = own.assign(unit=own["unit"] + " of " + own["learning_run"].astype(str) + own["source_agent"])
    wide = pd.concat([tables.events] * 12, ignore_index=True)
    wide["agent"] = [f"agent {k % 90}" for k in range(len(wide))]
    assert len(calls) > limits.ROWS
    return replace(tables, invocations=calls, events=wide.assign(order=range(len(wide))))


def test_every_chart_of_a_large_study_is_within_its_limit(large):
    found = analyse(large, Resampler(np.random.default_rng(0), 200), margin=0.05)
    figures = [figure for section in compose(large, found, 0) for figure in section.charts]
    assert {figure.id for figure in figures} >= {"returns", "invocations", "lineage", "gate", "retention", "values"}
    sizes = {figure.id: rows(figure.chart().to_dict()) for figure in figures}
    assert max(sizes.values()) <= limits.ROWS, sizes
    captions = {figure.id: figure.caption for figure in figures}
    assert "Drawn: " in captions["invocations"]
    assert "Drawn: " in captions["lineage"]


def test_points_are_spread_evenly_and_keep_their_ends():
    frame = pd.DataFrame({"x": np.random.default_rng(0).permutation(5_000)})
    shown, note = limits.evenly(frame, "x", 100)
    assert len(shown) == 100
    assert (shown["x"].min(), shown["x"].max()) == (0, 4_999)
    assert note == " Drawn: 100 of 5,000 points, evenly spaced in x; the tables hold all."
    assert limits.evenly(shown, "x", 100)[1] == ""


def test_groups_are_bounded_by_number_and_by_rows():
    frame = pd.DataFrame({"g": np.repeat(np.arange(100), 50)})
    assert limits.first_groups(frame, ["g"], "lines")[0]["g"].nunique() == limits.LINES
    assert limits.first_groups(frame, ["g"], "lines", 1_000)[0]["g"].nunique() == limits.ROWS // 50


def test_small_parts_of_a_bar_become_one():
    shares = pd.DataFrame({"bar": "b", "unit": list("abcdefghijkl"), "name": "n", "calls": range(12)})
    shares = shares.assign(share=shares["calls"] / shares["calls"].sum())
    lumped = limits.lump_parts(shares, ["bar"], 4)
    assert list(lumped["unit"]) == ["l", "k", "j", "i", "8 others"]
    assert lumped["share"].sum() == pytest.approx(1.0)
    assert lumped["calls"].sum() == 66
