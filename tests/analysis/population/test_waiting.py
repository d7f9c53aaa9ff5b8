"""The plotted Kaplan–Meier curve against the truth and against statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.report.figures.population import waiting, waiting_curves


def born_over_time(rounds: int = 12, skills: int = 3_000) -> pd.DataFrame:
    """Review 1.10: skills born over 12 rounds (here more of them), whose true median time is 6 rounds."""
    rng = np.random.default_rng(0)
    times = rng.geometric(1 - 0.5 ** (1 / 6), skills).astype(float)
    watched = rng.integers(0, rounds, skills)
    life = {"arm": "ring", "task": "T", "learning_run": 0}
    units = [f"u{k}" for k in range(skills)]
    half = np.where(times <= watched, times, np.nan)
    return pd.DataFrame({"unit": units, "half": half, "watched": watched, "poison": None}).assign(**life)


def test_equal_to_statsmodels():
    skills = born_over_time()
    table = waiting_curves(skills)
    times = skills["half"].fillna(skills["watched"])
    expected = SurvfuncRight(times.to_numpy(), skills["half"].notna().to_numpy().astype(int))
    by_time = table.groupby("rounds")["share"].last()
    for time, left in zip(expected.surv_times, expected.surv_prob, strict=True):
        assert by_time[float(time)] == pytest.approx(1 - left)
    assert table[table["share"] >= 0.5]["rounds"].iloc[0] == pytest.approx(6, abs=1)
    assert len(waiting(table).to_dict()["datasets"]) == 1


def test_nothing_that_happened_is_a_flat_line():
    skills = born_over_time()
    table = waiting_curves(skills.assign(half=np.nan))
    assert set(table["share"]) == {0.0}
