"""Bad tables get one clear sentence; good ones get documented types."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.tables.run import EPISODES, Tables
from analysis.tables.schema import TableError


@pytest.fixture
def episodes(study: Tables) -> pd.DataFrame:
    return pd.DataFrame(study.episodes.head(40).astype({"arm": "str", "agent": "str", "task": "str"}))


def test_types_and_blank_sources(study: Tables):
    assert study.episodes["learning_run"].dtype == np.int64
    assert study.episodes["return"].dtype == np.float64
    assert set(study.episodes.loc[study.episodes["arm"] == "none", "source_agent"]) == {""}
    assert list(study.events["order"]) == sorted(study.events["order"])


def test_undocumented_columns_are_kept(episodes):
    assert "note" in Tables.of(episodes.assign(note="x")).episodes


def test_every_column_is_documented():
    assert all(len(column.meaning) > 5 for column in EPISODES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="return"), "lacks the column 'return'"),
        (lambda frame: frame.iloc[:0], "is empty"),
        (lambda frame: pd.concat([frame, frame.head(1)]), "the same episode twice"),
        (
            lambda frame: frame.assign(learning_run=[None] + [0] * (len(frame) - 1)),
            "no value for 'learning_run' in row 0",
        ),
        (lambda frame: frame.assign(learning_run=0.5), "“0.5” for 'learning_run' in row 0; it must be a whole number"),
        (lambda frame: frame.assign(solved=2), "'solved' in row 0; it must be true or false"),
        (lambda frame: frame.assign(**{"return": "much"}), "“much” for 'return' in row 0; it must be a number"),
    ],
)
def test_bad_tables(episodes, change, words):
    with pytest.raises(TableError, match=words):
        Tables.of(change(episodes))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_return_that_is_no_number_is_missing_data(episodes, value):
    frame = episodes.assign(**{"return": [value, *episodes["return"].iloc[1:]]})
    checked = Tables.of(frame).episodes
    assert checked["error"].notna().sum() == 1
    assert checked["return"].isna().sum() == 1


def test_half_a_character_is_no_reason_to_lose_a_report(episodes):
    """A folder may be called so, and the run with it."""
    half = pd.Series(["half \ud83d"] * len(episodes), dtype=object)
    assert set(Tables.of(episodes.assign(run=half)).episodes["run"]) == {"half ?"}
