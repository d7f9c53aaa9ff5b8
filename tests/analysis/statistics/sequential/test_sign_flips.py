"""Sign flips that spend their level: exact however the sizes fall, nested in the level, and inverted to sequences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from analysis.statistics.sequential.evidence import evidence
from analysis.statistics.sequential.sign_flips import EXPONENT, SignFlips

LONE = SignFlips(40)


def every_flip(sizes: np.ndarray) -> np.ndarray:
    """Each choice of signs of these sizes, shape (2ⁿ, n)."""
    return np.array(list(product([1.0, -1.0], repeat=len(sizes)))) * sizes


@pytest.mark.parametrize(
    "sizes",
    [
        np.random.default_rng(1).exponential(size=10),
        np.ones(10),
        np.array([0, 0, 0, 0, 0, 0.3, 0.1, 0.2, 0.4, 0.1]),
        np.array([1e-3, 1, 50, 0, 0.2, 1e4, 0, 0.5, 0.5, 2]),
    ],
    ids=["continuous", "alike", "zeros first", "wild"],
)
def test_no_more_flips_are_given_up_than_the_level_allows(sizes):
    """Of all 2ⁿ equally likely choices of signs, by every look: what is spent so far."""
    test = SignFlips(12, alpha=0.2, family=2)
    flips = every_flip(sizes)
    evidence_of_all = np.maximum.accumulate(test.two_sided(flips, np.zeros(len(flips))), axis=1)
    for level in (0.2, 0.1):
        for look in range(10):
            rejected = (evidence_of_all[:, look] >= -np.log(level) - 1e-9).mean()
            assert rejected <= level * ((look + 1) / 12) ** EXPONENT + 1e-9
    if (sizes > 0).all():  # little of it is lost
        assert (evidence_of_all[:, 9] >= -np.log(0.2) - 1e-9).mean() >= 0.12


@pytest.mark.parametrize("discrete", [True, False])
def test_looking_after_every_datum_rejects_a_true_null_in_at_most_one_of_twenty(discrete):
    rng = np.random.default_rng(2)
    null = rng.choice([-0.8, 0.8], (1500, 40)) if discrete else rng.standard_t(3, (1500, 40))
    ever = LONE.rejects(null, np.zeros(1500), 0.95).mean()
    assert 0.03 <= ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_evidence_knows_no_units_and_no_future():
    values = np.random.default_rng(3).normal(0.1, 0.15, 20)
    whole = LONE.two_sided(values, np.zeros(()))
    assert LONE.two_sided(1e-6 * values, np.zeros(())) == pytest.approx(whole)
    assert LONE.two_sided(values[:12], np.zeros(())) == pytest.approx(whole[:12])
    assert LONE.two_sided(-values, np.zeros(())) == pytest.approx(whole)


def test_like_values_decide_at_the_seventh_and_not_before():
    values = np.array([0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2])
    assert evidence(LONE, values[:6]).e_peak < 20 - 1e-9 <= evidence(LONE, values).e_peak


def test_what_rejects_for_many_claims_rejects_for_few():
    """A single level by itself rejects wherever the nested ones do."""
    values = np.random.default_rng(4).normal(0.1, 0.15, (200, 40))
    centre = np.zeros(200)
    nested = SignFlips(40, family=6).two_sided(values, centre).max(axis=1)
    for claims in (1, 3, 6):
        reached = nested >= np.log(20 * claims) - 1e-9
        alone = LONE.rejects(values, centre, 1 - 0.05 / claims)
        assert (reached <= alone).all()
        assert alone.mean() - reached.mean() <= 0.03


def test_the_sequence_holds_the_truth_and_grows_narrower():
    rng = np.random.default_rng(5)
    held = []
    for effect in (0.0, 0.2, -0.3):
        for _ in range(12):
            values = rng.normal(effect, 0.15, 20)
            found = evidence(LONE, values)
            assert found.lower <= found.mean <= found.upper
            assert (found.e_peak < 20 - 1e-9) or found.lower > 0 or found.upper < 0
            held.append(found.lower <= effect <= found.upper)
            few = evidence(LONE, values[:10])
            assert found.upper - found.lower <= few.upper - few.lower + 1e-3
    assert np.mean(held) >= 0.85


def test_a_smaller_centre_is_rejected_no_more_often():
    """Against "at most 0" where the truth is −.02: the test of a margin counts on it."""
    rng = np.random.default_rng(6)
    values = rng.normal(-0.02, 0.15, (1000, 30))
    up, _ = SignFlips(30, shown=()).one_sided(values, np.zeros(1000))
    assert (up.max(axis=1) >= np.log(20) - 1e-9).mean() <= 0.05


def test_few_values_say_nothing():
    assert evidence(LONE, np.full(4, 0.3)).e_peak == 1.0
    assert evidence(LONE, np.zeros(30)).e_peak == 1.0
    assert evidence(SignFlips(40, low=-1.0, high=1.0), np.array([0.4])).upper == 1.0
