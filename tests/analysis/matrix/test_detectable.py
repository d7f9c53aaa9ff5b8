"""The minimum detectable effect against statsmodels, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from analysis.matrix.robustness.detectable import detectable_effect


@pytest.mark.parametrize(("runs", "alpha"), [(6, 0.05), (10, 0.05), (10, 0.05 / 8), (30, 0.01)])
def test_equal_to_statsmodels(runs: int, alpha: float):
    expected = float(TTestPower().solve_power(nobs=runs, alpha=alpha, power=0.8))
    assert detectable_effect(1 / np.sqrt(runs), runs - 1, alpha=alpha) == pytest.approx(expected, rel=1e-6)


def test_without_spread_or_freedom():
    assert np.isnan(detectable_effect(np.nan, 5))
    assert np.isnan(detectable_effect(0.1, 0))
    assert detectable_effect(0.0, 5) == 0
    assert detectable_effect(0.1, 1, alpha=0.05 / 8) > 10
