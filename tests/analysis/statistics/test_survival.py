"""Times by hand."""

from __future__ import annotations

import warnings
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.survival import median_time, share_within

NAN = pytest.approx(np.nan, nan_ok=True)
TIMES = np.array([1.0, 2.0, 3.0, 3.0, 5.0, np.nan, np.nan, 7.0])
WATCHED = np.array([9.0, 9.0, 9.0, 9.0, 9.0, 4.0, 9.0, 9.0])


def kaplan_meier(times: np.ndarray, watched: np.ndarray) -> list[tuple[float, float, float]]:
    """(time, share left, Greenwood's sum) at every event."""
    out, left, greenwood = [], 1.0, 0.0
    for time in sorted(set(times[np.isfinite(times)].tolist())):
        ends = np.where(np.isfinite(times), times, watched)
        risk, events = int((ends >= time).sum()), int((times == time).sum())
        left *= 1 - events / risk
        greenwood += events / (risk * (risk - events)) if risk > events else np.inf
        out.append((time, left, greenwood))
    return out


def test_median_and_its_interval_by_hand():
    curve = kaplan_meier(TIMES, WATCHED)
    for level in (0.95, 0.5):
        z = stats.norm.ppf((1 + level) / 2)
        low, high = (
            next(
                (
                    time
                    for time, left, greenwood in curve
                    if left ** np.exp(-sign * z * np.sqrt(greenwood) / np.log(left)) <= 0.5
                ),
                np.nan,
            )
            for sign in (1, -1)
        )
        expected = (3.0, low, high, level, "Kaplan–Meier", 8)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = median_time(TIMES, WATCHED, level)
        assert astuple(found)[:6] == (*(pytest.approx(x, nan_ok=True) for x in expected[:4]), *expected[4:])


def test_the_default_level_is_95_percent():
    found = median_time(TIMES, WATCHED)
    assert repr(found) == repr(median_time(TIMES, WATCHED, 0.95))
    assert found.low == 1.0


def test_half_is_half():
    """Two of four have come to it at 2: the curve is at one half there."""
    assert median_time(np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 9.0)).estimate == 2.0


def test_other_errors_of_the_curve_are_not_silenced(monkeypatch: pytest.MonkeyPatch):
    def warn(*_: object, **__: object) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        raise LookupError

    monkeypatch.setattr("scipy.stats._survival.EmpiricalDistributionFunction.confidence_interval", warn)
    with pytest.warns(DeprecationWarning, match="old"), pytest.raises(LookupError):
        median_time(TIMES, WATCHED)


@pytest.mark.parametrize(
    ("times", "watched", "why", "known"),
    [
        ([], [], "no data", 0),
        ([2.0, 3.0], [np.nan, -1.0], "no data", 0),
        ([np.nan, np.nan], [3.0, 0.0], "no estimate: it never happened", 2),
        ([np.nan, 2.0], [3.0, np.inf], "no estimate: it never happened", 1),
    ],
)
def test_no_median_says_why(times, watched, why, known):
    found = median_time(np.array(times), np.array(watched), 0.9)
    assert astuple(found)[:6] == (NAN, NAN, NAN, 0.9, why, known)


def test_who_was_watched_for_no_round_is_known():
    assert median_time(np.array([0.0, 0.0, 4.0]), np.array([0.0, 0.0, 5.0])).clusters == 3
    assert median_time(np.array([1.0, 0.5]), np.array([1.0, 0.5])).clusters == 2
    assert share_within(np.array([0.0, np.nan]), np.array([0.0, 5.0])) == 0.5
    assert share_within(np.array([0.5, np.nan]), np.array([0.5, 5.0])) == 0.5


def test_the_share_counts_who_was_watched_for_a_while():
    assert share_within(TIMES, WATCHED) == pytest.approx(1 - kaplan_meier(TIMES, WATCHED)[-1][1])
    assert share_within(np.array([1.0, 1.0, np.nan, np.nan]), np.array([3.0, 3.0, 3.0, 0.5])) == pytest.approx(2 / 3)
    assert share_within(np.array([1.0, np.nan, 2.0]), np.array([3.0, 3.0, np.nan])) == 0.5
    assert share_within(np.array([1.0, np.nan, 2.0]), np.array([3.0, 3.0, -1.0])) == 0.5
    assert np.isnan(share_within(np.array([1.0]), np.array([-np.inf])))
