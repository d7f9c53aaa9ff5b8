"""The grid posterior against closed forms, where there are any."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.matrix.robustness.posterior import posterior


def test_many_values_agree_with_student():
    values = np.random.default_rng(0).normal(0.1, 0.2, 40)
    found = posterior(values, 5.0, margin=0.1)
    answer = stats.t(39, values.mean(), values.std(ddof=1) / np.sqrt(40))
    assert found.estimate == pytest.approx(values.mean(), abs=0.002)
    assert (found.low, found.high) == pytest.approx(answer.interval(0.95), abs=0.004)
    assert found.positive == pytest.approx(1 - answer.cdf(0), abs=0.005)
    assert found.within == pytest.approx(answer.cdf(0.1) - answer.cdf(-0.1), abs=0.02)


def test_the_prior_holds_few_values_back():
    values = np.array([0.9, 1.0])
    wide, narrow = posterior(values, 1.0), posterior(values, 0.1)
    assert 0 < narrow.estimate < wide.estimate < values.mean()
    assert narrow.positive < wide.positive


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0, 0.0], [0.3] * 5, [1.0, -1.0]])
def test_degenerate_values_get_an_answer(values: list[float]):
    found = posterior(np.array(values), 0.5)
    assert found.low <= found.estimate <= found.high
    assert 0 <= found.positive <= 1
    assert np.isnan(found.within)


def test_no_evidence_either_way():
    assert posterior(np.array([-0.2, 0.2]), 0.5).positive == pytest.approx(0.5, abs=0.01)
