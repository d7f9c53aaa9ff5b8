"""pass@k and its kin against every subset."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis.matrix.arms.reducers import at_least, majority, pass_all, pass_at


@pytest.mark.parametrize(("solved", "episodes"), [(0, 5), (1, 5), (3, 5), (5, 5), (2, 4)])
def test_equal_to_counting_every_subset(solved: int, episodes: int):
    outcomes = [1] * solved + [0] * (episodes - solved)
    for k in range(1, episodes + 1):
        subsets = list(combinations(outcomes, k))
        c, n = np.array([float(solved)]), np.array([float(episodes)])
        assert pass_at(k, c, n)[0] == pytest.approx(np.mean([max(each) for each in subsets]))
        assert pass_all(k, c, n)[0] == pytest.approx(np.mean([min(each) for each in subsets]))
        for least in range(1, k + 1):
            expected = np.mean([sum(each) >= least for each in subsets])
            assert at_least(least, k, c, n)[0] == pytest.approx(expected)


def test_too_few_episodes_give_nothing():
    assert np.isnan(pass_at(4, np.array([1.0]), np.array([3.0]))[0])
    assert np.isnan(at_least(2, 4, np.array([1.0]), np.array([3.0]))[0])


def test_a_tie_is_half():
    assert majority(np.array([1.0, 2.0, 3.0]), np.array([4.0, 4.0, 4.0])).tolist() == [0.0, 0.5, 1.0]
