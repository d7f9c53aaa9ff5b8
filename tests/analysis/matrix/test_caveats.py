"""What a reader is told before the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.matrix.contrasts import declare, overall
from analysis.matrix.data_quality.caveats import widened
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import UNMET
from analysis.tables.units import seed_means
from tests.support.simulated_study import simulate


def test_intervals_that_reach_farther_are_told_with_the_remedy(by: Resampler):
    tables = simulate(np.random.default_rng(0), tasks=("Maze",), runs=6)
    found = overall(seed_means(tables.episodes), declare(["none", "self"]), by)
    cells = pd.DataFrame({"solved_method": ["beta-binomial likelihood of 6 learning runs"]})
    assert widened(found, cells) == []
    skewed = [replace(each, skewness=-4.0, freedom=5.0) for each in found]
    (tail,) = widened(skewed, cells)
    assert "(skewness up to 4.0)" in tail
    assert "2.0 times as far" in tail
    assert "more learning runs" in tail
    (unmet,) = widened(found, cells.assign(solved_method=f"Clopper–Pearson: {UNMET}"))
    assert "In 1 of 1 cells" in unmet
    assert "more learning runs" in unmet


def test_skewed_returns_do_not_decide_what_students_t_would(by: Resampler):
    """Most seeds lose a little and few win much: “worse” would rest on the tail that was hardly seen."""
    tables = simulate(np.random.default_rng(0), tasks=("Maze",), runs=6)
    tails = np.random.default_rng(3).random(len(tables.episodes)) < 0.02
    returns = np.where(tables.episodes["arm"] == "self", np.where(tails, 0.9, -0.1), 0.0)
    seeds = seed_means(tables.episodes.assign(**{"return": returns}))
    (found,) = overall(seeds, declare(["none", "self"]), by)
    assert found.skewness > 2
    assert found.high - found.estimate > 1.4 * (found.estimate - found.low)
