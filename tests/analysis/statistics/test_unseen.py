"""Pools that were not met."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.survival import clustered_median_time, median_time, share_within
from analysis.statistics.unseen import Unseen, unseen_share


def test_the_share_is_clopper_pearsons_of_none():
    assert unseen_share(10) == pytest.approx(stats.beta.ppf(0.95, 1, 10))


def test_a_small_loss_is_withheld_and_a_large_one_is_not():
    unseen = Unseen(up=(10, 0.7))
    assert "26% of the treatment's" in unseen.reason(-0.2, -0.1)
    assert unseen.reason(-0.6, -0.4) == ""
    assert unseen.reason(0.1, 0.2) == ""
    assert Unseen().reason(-0.2, -0.1) == ""


def test_a_learned_reference_could_have_good_pools_too():
    assert "the reference's" in Unseen(down=(10, 0.7)).reason(0.05, 0.2)


def test_the_margin_shrinks_by_what_was_not_met():
    low, high = Unseen(up=(30, 0.5)).within(0.1)
    assert low == -0.1
    assert high == pytest.approx((0.1 - unseen_share(30) * 0.5) / (1 - unseen_share(30)))
    assert Unseen(up=(30, 0.5)).highest(high) == pytest.approx(0.1)


def test_bounds_are_mixtures_of_what_was_met_and_what_could_be():
    assert unseen_share(0) == 1.0
    assert unseen_share(5, 0.9) == pytest.approx(stats.beta.ppf(0.9, 1, 5))
    share = unseen_share(10)
    unseen = Unseen(up=(10, 0.7), down=(10, 0.4))
    assert unseen.highest(0.2) == pytest.approx((1 - share) * 0.2 + share * 0.7)
    assert unseen.lowest(0.2) == pytest.approx((1 - share) * 0.2 - share * 0.4)
    assert Unseen(up=(10, -0.7)).highest(0.2) == pytest.approx((1 - share) * 0.2)
    low, high = Unseen(up=(10, -0.7), down=(10, 0.4)).within(0.2)
    assert low == pytest.approx(-(0.2 - share * 0.4) / (1 - share))
    assert high == pytest.approx(0.2 / (1 - share))
    assert (Unseen().highest(0.2), Unseen().lowest(0.2), Unseen().within(0.2)) == (0.2, 0.2, (-0.2, 0.2))


def test_reasons_in_words():
    unseen = Unseen(up=(10, 0.7), down=(20, 0.4))
    assert unseen.reason(-0.2, -0.1) == (
        "10 learned pools were met, so up to 26% of the treatment's could be of a good kind not met; were those as "
        "good as the task allows (0.70 more), the mean could be 0.11"
    )
    assert unseen.reason(0.05, 0.2) == (
        "20 learned pools were met, so up to 14% of the reference's could be of a good kind not met; were those as "
        "good as the task allows (0.40 more), the mean could be -0.01"
    )


def test_an_interval_that_touches_zero_needs_no_reason():
    unseen = Unseen(up=(10, 0.7), down=(10, 0.7))
    assert unseen.reason(0.0, 0.5) == unseen.reason(-0.5, 0.0) == unseen.reason(-0.1, 0.1) == ""


def test_what_has_not_happened_yet_counts():
    """Review: 120 skills born over 12 rounds, true median 6: those that got there had taken 4.0 on average."""
    rng = np.random.default_rng(0)
    watched = 12.0 - rng.integers(0, 12, 120)
    times = np.ceil(rng.exponential(6 / np.log(2), 120))
    seen = np.where(times <= watched, times, np.nan)
    found = median_time(seen, watched)
    assert np.nanmean(seen) < 4.5
    assert 5 <= found.estimate <= 9
    assert found.low <= 6 <= (found.high if np.isfinite(found.high) else 12)
    assert share_within(seen, watched) > np.isfinite(seen).mean()


def test_what_never_happened_has_no_median():
    assert np.isnan(median_time(np.full(3, np.nan), np.arange(3.0)).estimate)
    assert share_within(np.full(3, np.nan), np.arange(3.0)) == 0.0
    assert np.isnan(share_within(np.empty(0), np.empty(0)))


def test_skills_of_one_population_are_no_independent_witnesses():
    """Populations whose skills spread at unlike speeds: an interval over them holds the median, one over skills not."""
    rng = np.random.default_rng(1)
    covered, naive = [], []
    truth = np.median(np.ceil(rng.exponential(np.exp(rng.normal(0, 0.6, 200_000)) / 0.12)))
    for _ in range(200):
        speeds, populations = np.exp(rng.normal(0, 0.6, 6)) * 0.12, np.repeat(np.arange(6), 20)
        times, watched = np.ceil(rng.exponential(1 / speeds[populations])), rng.integers(1, 16, 120).astype(float)
        seen = np.where(times <= watched, times, np.nan)
        found = [clustered_median_time(seen, watched, populations), median_time(seen, watched)]
        for hits, each in zip((covered, naive), found, strict=True):
            hits.append(not (each.low > truth or each.high < truth))
    assert np.mean(covered) >= 0.93
    assert np.mean(naive) <= 0.9
    alone = clustered_median_time(np.array([1.0, 2.0]), np.array([3.0, 3.0]), np.zeros(2, np.int64))
    assert (alone.estimate, np.isnan(alone.low), alone.method) == (1.0, True, "no interval: 1 population")


def test_a_gain_says_which_ruin_would_undo_it():
    """Two in ten at −.4 take a mean of .1 to 0: ten pools leave room for 26 %, fifteen for 18 %."""
    assert Unseen(up=(10, 0.7), ruin=-0.4).assumes(0.1) == (
        "assumes that no kind of pool that ruins went unmet: 20% of pools at the bottom of the task would undo it, and "
        "10 pools met leave room for 26%"
    )
    assert Unseen(up=(15, 0.7), ruin=-0.4).assumes(0.1) == ""
    assert Unseen(up=(10, 0.7), ruin=-0.4).assumes(-0.1) == ""
    assert Unseen(up=(10, 0.7), ruin=0.0).assumes(0.1) == ""
    assert Unseen(ruin=-0.4).assumes(0.1) == ""
