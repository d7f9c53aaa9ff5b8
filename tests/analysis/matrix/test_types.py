"""Types of tasks are strata: each has its own row, and nothing is told of them where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.matrix.arms.types import type_table
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from tests.support.simulated_study import simulate


@pytest.fixture
def by() -> Resampler:
    return Resampler(np.random.default_rng(0), 200)


def typed(tables: Tables, types: list[str]) -> Tables:
    names = [types[episode % len(types)] for episode in tables.episodes["episode"]]
    return Tables.of(tables.episodes.assign(task_type=names), ranges=tables.ranges)


def test_a_row_for_each_type_of_each_cell(by):
    tables = typed(simulate(np.random.default_rng(0), runs=3, episodes=4), ["heat", "cool"])
    found = type_table(tables, by)
    assert found is not None
    keys = ["arm", "source_agent", "source_task", "agent", "task", "task_type"]
    episodes = tables.episodes.astype(dict.fromkeys(keys, "str"))
    expected = episodes.groupby(keys)["return"].mean()
    ours = found.astype(dict.fromkeys(keys, "str")).set_index(keys)["return"]
    assert len(ours) == len(expected) > 2
    np.testing.assert_allclose(ours.reindex(expected.index), expected)
    assert (found["clusters"] == 3).all()


def test_one_type_or_none_is_no_table(by):
    tables = simulate(np.random.default_rng(0), runs=2, episodes=2)
    assert type_table(tables, by) is None
    assert type_table(typed(tables, ["heat"]), by) is None
