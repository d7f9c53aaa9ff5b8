"""E-processes keep their promise however often they are looked at, and invert to confidence sequences."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.multiplicity import e_benjamini_hochberg, e_holm
from analysis.statistics.sequential.e_processes import BoundedTest, EProcess, SymmetricTest
from analysis.statistics.sequential.evidence import Evidence, SequentialProcess, confidence_sequence, evidence

BOUNDED = BoundedTest(-1.0, 1.0)
TESTS = pytest.mark.parametrize("test", [SymmetricTest(), BOUNDED], ids=["symmetric", "bounded"])


@TESTS
def test_each_factor_is_a_fair_bet(test: EProcess) -> None:
    """Under two equally likely signs of the next value, wealth does not grow on average; nor under a smaller centre."""
    past = np.array([0.3, -0.1, 0.25])
    for size in (0.0, 0.05, 0.4, 0.9):
        nexts = np.array([[*past, size], [*past, -size]])
        for side in test.log_wealth(nexts, np.zeros(2)):
            assert np.exp(side[:, -1]).mean() == pytest.approx(np.exp(side[0, -2]))
        up, _ = test.log_wealth(nexts - 0.05, np.zeros(2))
        before, _ = test.log_wealth(np.array([past - 0.05]), np.zeros(1))
        assert np.exp(up[:, -1]).mean() <= np.exp(before[0, -1]) + 1e-12


@TESTS
def test_continuous_looking_rejects_a_true_null_in_at_most_one_of_twenty(test: EProcess) -> None:
    rng = np.random.default_rng(1)
    for null in (rng.uniform(-0.5, 0.5, (4000, 40)), rng.choice([-1.0, 0.0, 0.0, 1.0], (4000, 40))):
        ever = (test.two_sided(null, np.zeros(4000)).max(axis=1) >= np.log(20)).mean()
        assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_a_bounded_mean_needs_no_symmetry() -> None:
    rng = np.random.default_rng(2)
    skewed = np.where(rng.random((4000, 60)) < 0.1, 0.9, -0.1)
    assert (BOUNDED.two_sided(skewed, np.zeros(4000)).max(axis=1) >= np.log(20)).mean() <= 0.06


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_symmetric_evidence_knows_no_units(unit: float) -> None:
    values = np.random.default_rng(3).normal(0.2, 0.15, 12)
    one, other = evidence(SymmetricTest(), values), evidence(SymmetricTest(), unit * values)
    assert other.e_value == pytest.approx(one.e_value)
    assert other.lower == pytest.approx(unit * one.lower, rel=1e-3)


def test_like_values_decide_at_the_seventh_and_not_before() -> None:
    values = np.array([0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2])
    assert evidence(SymmetricTest(), values[:5]).e_peak < 20 <= evidence(SymmetricTest(), values).e_peak


def test_a_process_says_after_each_value_what_all_are_worth() -> None:
    values = np.random.default_rng(4).normal(0.1, 0.2, 9)
    process = SequentialProcess()
    said = [process.add(float(value)) for value in values]
    assert said == [evidence(SymmetricTest(), values[: n + 1]) for n in range(9)]
    assert [each.n for each in said] == list(range(1, 10))
    lower = np.array([each.lower for each in said])
    assert (np.diff(lower[np.isfinite(lower)]) >= -1e-3).all(), "what was rejected once stays out"


@TESTS
def test_the_sequence_leaves_out_zero_exactly_when_zero_was_rejected(test: EProcess) -> None:
    rng = np.random.default_rng(5)
    for effect in (0.0, 0.15, -0.3):
        for _ in range(15):
            found = evidence(test, np.clip(rng.normal(effect, 0.15, 20), -1, 1))
            assert (found.e_peak >= 20) == (found.lower > 0 or found.upper < 0)
            assert found.lower <= found.mean <= found.upper


def test_ends_lie_where_evidence_reaches_the_level() -> None:
    values = np.random.default_rng(6).normal(0.2, 0.15, 15)
    for end in confidence_sequence(SymmetricTest(), values):
        assert np.exp(SymmetricTest().two_sided(values, np.array(end)).max()) == pytest.approx(20, rel=0.02)


def test_nothing_is_bounded_before_there_are_values() -> None:
    assert evidence(SymmetricTest(), np.array([])) == Evidence()
    assert evidence(SymmetricTest(), np.array([0.4])).upper == np.inf
    few = evidence(BOUNDED, np.array([0.4]))
    assert few.lower < -0.9
    assert few.upper > 0.9


def test_overwhelming_evidence_is_infinite_and_no_warning() -> None:
    assert evidence(SymmetricTest(), np.full(1200, 0.5)).e_value == np.inf


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no finite number"):
        SequentialProcess().add(float("nan"))
    with pytest.raises(ValueError, match=r"outside \[-1, 1\]"):
        SequentialProcess(BOUNDED).add(1.5)


def test_e_holm_multiplies_as_holm_does() -> None:
    assert e_holm(np.array([200.0, 50.0, 3.0])) == pytest.approx([200 / 3, 25.0, 3.0])
    assert e_holm(np.array([np.inf, 0.0])) == pytest.approx([np.inf, 1.0])


def test_e_benjamini_hochberg_claims_by_rank() -> None:
    adjusted = e_benjamini_hochberg(np.array([45.0, 31.0, 1.0, np.nan]))
    assert adjusted[:3] == pytest.approx([15.5, 15.5, 0.75])
    assert np.isnan(adjusted[3])
