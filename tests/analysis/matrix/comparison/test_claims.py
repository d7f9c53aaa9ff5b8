"""Claims of adaptive studies: their data, their tests, their guards; and what further data promise."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.matrix.comparison.claims import (
    SKEWED,
    Claim,
    declared_claims,
    differences,
    stand,
)
from analysis.matrix.comparison.prospects import prospect
from analysis.matrix.comparison.rule import Differences, Rule
from analysis.matrix.contrasts import DECLARED
from analysis.statistics.sequential.e_processes import BoundedTest, SymmetricTest
from analysis.statistics.sequential.sign_flips import SignFlips
from analysis.statistics.unseen import Pools, Unseen
from tests.support.simulated_study import simulate

SELF_NONE = Claim(DECLARED[0])


@pytest.fixture(scope="module")
def tables():
    return simulate(np.random.default_rng(1), runs=9)


def standing(values, rule=Rule(), **about):  # noqa: B008
    (found,) = stand([SELF_NONE], [Differences(np.array(values), **about)], rule)
    return found


def test_a_datum_is_the_mean_difference_of_a_learning_run(tables):
    data = differences(SELF_NONE, {"": tables.episodes}, {"Maze": (0.0, 1.0), "Quiz": (0.0, 1.0)})
    mean = tables.episodes.groupby(["arm", "learning_run"], observed=True)["return"].mean()
    assert data.values == pytest.approx((mean["self"] - mean["none"]).to_numpy())
    assert (data.low, data.high) == (-1.0, 1.0)
    assert data.bounded
    assert data.unseen.up[0] == 9 * 4


def test_a_run_that_lacks_a_cell_is_no_datum(tables):
    lost = (
        (tables.episodes["arm"] == "self")
        & (tables.episodes["learning_run"] == 3)
        & (tables.episodes["task"] == "Maze")
    )
    data = differences(SELF_NONE, {"": tables.episodes[~lost].reset_index(drop=True)}, {})
    assert len(data.values) == 8
    assert not data.bounded


def test_nothing_played_is_nothing_known():
    (found,) = stand([SELF_NONE], [differences(SELF_NONE, {}, {})], Rule(margin=0.1))
    assert (found.verdict, found.evidence.n, found.e_adjusted) == ("undecided", 0, 1.0)


def test_verdicts_either_way_and_none():
    up = [0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2, 0.19]
    assert standing(up).verdict == "better"
    assert standing([-each for each in up]).verdict == "worse"
    assert standing([*up[:4], *[-each for each in up[:4]]]).verdict == "undecided"
    assert standing(up, Rule(margin=0.5), bounded=True).verdict == "equivalent"


def test_the_family_counts_whatever_becomes_of_it():
    up = Differences(np.array([0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2]))
    alone = stand([SELF_NONE], [up], Rule())
    among = stand([SELF_NONE] * 7, [up, *[Differences(np.zeros(0))] * 6], Rule())
    assert alone[0].verdict == "better"
    assert among[0].verdict == "undecided"
    assert among[0].e_adjusted == pytest.approx(alone[0].e_adjusted / 7)


def test_pools_that_were_not_met_withhold_a_loss():
    down = [-0.05, -0.06, -0.05, -0.04, -0.05, -0.06, -0.05, -0.05]
    found = standing(down, unseen=Unseen(up=Pools(8, 0.6)))
    assert found.verdict == "undecided"
    assert "8 learned pools were met" in found.withheld
    assert standing(down).verdict == "worse"


def test_a_mean_outside_its_sequence_is_no_verdict():
    values = [0.0] * 9 + [0.9] + [0.0] * 9 + [0.9]
    found = standing(values, Rule(margin=0.05), bounded=True)
    assert (found.verdict, found.withheld) == ("undecided", SKEWED)


def test_a_run_that_stands_alone_against_a_loss_withholds_it():
    loss = [-0.1 + 0.01 * np.sin(k) for k in range(19)]
    found = standing([*loss, 0.8])
    assert found.verdict == "undecided"
    assert found.withheld.startswith("one of them speaks against it and holds 9")
    assert standing(loss).verdict == "worse"


def test_the_bounded_test_needs_no_such_guard():
    loss = [-0.5 + 0.01 * np.sin(k) for k in range(39)]
    found = standing([*loss, 0.8], Rule(test="bounded"), low=-1.0, high=1.0)
    assert (found.verdict, found.withheld) == ("worse", "")


def test_single_seeds_are_taken_for_bounded_alone():
    rule = Rule()
    assert isinstance(rule.test_of(Differences(np.zeros(3), -1.0, 1.0)), SymmetricTest)
    assert isinstance(rule.test_of(Differences(np.zeros(3), -1.0, 1.0, single=True)), BoundedTest)
    assert isinstance(rule.test_of(Differences(np.zeros(3), single=True)), SymmetricTest)
    assert isinstance(Rule(test="bounded").test_of(Differences(np.zeros(3), -1.0, 1.0)), BoundedTest)


FLIPS = Rule(test="sign-flips", most=20)


def test_sign_flips_are_of_learning_runs_alone():
    learned = Differences(np.zeros(3), -1.0, 1.0)
    test = FLIPS.test_of(learned, family=3)
    assert isinstance(test, SignFlips)
    assert (test.most, test.family, test.high) == (20, 3, 1.0)
    assert isinstance(FLIPS.test_of(Differences(np.zeros(3), -1.0, 1.0, single=True)), BoundedTest)
    assert isinstance(FLIPS.test_of(Differences(np.zeros(3), single=True)), SymmetricTest)


def test_sign_flips_decide_and_keep_the_guards():
    up = [0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2, 0.19]
    assert standing(up, FLIPS).verdict == "better"
    assert standing([-each for each in up], FLIPS).verdict == "worse"
    assert standing(up[:5], FLIPS).verdict == "undecided"
    near = Rule(test="sign-flips", most=20, margin=0.5)
    assert standing(up, near, bounded=True).verdict == "equivalent"
    found = standing([-each for each in up], FLIPS, unseen=Unseen(up=Pools(8, 0.9)))
    assert "8 learned pools were met" in found.withheld


def test_the_family_of_sign_flips_counts_too():
    up = Differences(np.array([0.2, 0.25, 0.22, 0.18, 0.24, 0.21, 0.2, 0.19]))
    among = stand([SELF_NONE] * 7, [up, *[Differences(np.zeros(0))] * 6], FLIPS)
    assert [each.verdict for each in among] == ["undecided"] * 7
    later = Differences(np.tile(up.values, 2))
    assert stand([SELF_NONE] * 7, [later, *[Differences(np.zeros(0))] * 6], FLIPS)[0].verdict == "better"


def test_prospects_of_a_declared_size():
    rng = np.random.default_rng(2)

    def known(values, most, margin=np.nan):
        rule = Rule(test="sign-flips", most=40, margin=margin)
        return prospect(Differences(np.array(values), bounded=True), rule, batch=2, most=most, family=1, rng=rng)

    clear, void = rng.normal(0.3, 0.1, 6), rng.normal(0.0, 0.3, 30)
    assert known(clear, 34).chance > 0.9
    assert known(void, 6).chance < 0.15
    assert known(void, 6, margin=0.5).chance > 0.9
    assert known(clear, 34).growth > known(void, 6).growth
    assert known(np.zeros(8), 10).chance == 0.0
    assert known(np.full(8, 0.2), 10).chance == 1.0


def test_a_pool_is_compared_with_its_controls_too():
    keys = [claim.key for claim in declared_claims(["none"], {"p": ("random",)}, [("a", "T")])]
    assert keys == ["given-none:p/a/T", "given-random:p/a/T"]


def test_prospects_tell_hope_from_none():
    rng = np.random.default_rng(2)
    clear = Differences(rng.normal(0.3, 0.1, 5))
    void = Differences(rng.normal(0.0, 0.3, 30))
    hope = prospect(clear, Rule(), batch=2, most=20, family=1, rng=rng)
    none = prospect(void, Rule(), batch=2, most=6, family=6, rng=rng)
    assert hope.chance > 0.9
    assert hope.growth > none.growth
    assert none.chance < 0.1
    assert prospect(Differences(np.ones(2)), Rule(), batch=1, most=5, family=1, rng=rng).chance == 1.0
    assert prospect(clear, Rule(), batch=1, most=0, family=1, rng=rng).chance == 0.0
