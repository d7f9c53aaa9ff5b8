"""Verdicts and the intervals beside them; families that do not shrink; episodes counted once; pools not met."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.matrix.comparison.runs import CompareError, compare
from analysis.matrix.contrasts import DECLARED, Contrast, declare, overall
from analysis.matrix.learning.gate import gate_calibration
from analysis.simulation.characteristics.errors import contradicts
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import EVENTS, Tables
from analysis.tables.units import seed_means
from tests.support.simulated_study import frame, simulate

SELF = (Contrast("self", "none", "Does a pool help?"),)


def rare(rng: np.random.Generator, runs: int, share: float, high: float, low: float, base: float) -> pd.DataFrame:
    """Solved or not, one agent, one task: a share of pools solves at `high`, the others at `low`."""
    study = simulate(rng, agents=("ada",), tasks=("Maze",), runs=runs, episodes=20).episodes
    kept = study[study["arm"].isin(["none", "self"])].copy()
    rates = dict(enumerate(np.where(rng.random(runs) < share, high, low)))
    chance = np.where(kept["arm"] == "self", kept["learning_run"].map(rates), base)
    kept["return"] = (rng.random(len(kept)) < chance).astype(float)
    return kept.assign(solved=kept["return"])


def test_verdicts_never_contradict_their_interval(by: Resampler):
    rng = np.random.default_rng(0)
    for effect in (0.0, 0.05, 0.1, 0.3):
        for runs in (3, 4, 6):
            seeds = seed_means(simulate(rng, runs=runs, episodes=3, effects={"self": effect}).episodes)
            assert not any(contradicts(each) for each in overall(seeds, DECLARED, by, outcomes=("return", "solved")))


def test_a_learner_that_rarely_succeeds_is_not_said_to_harm(by: Resampler):
    """Review: eight runs, none .1, a tenth of pools .91 and the rest .01 (no difference): “worse” in 35 %."""
    rng, found = np.random.default_rng(1), []
    for _ in range(40):
        seeds = seed_means(rare(rng, 8, 0.1, 0.91, 0.01, 0.1))
        found += overall(seeds, SELF, by, ranges={"Maze": (0.0, 1.0)})
    assert sum(each.p <= 0.05 for each in found) >= 4
    assert all(each.verdict == "undecided" for each in found)
    held = next(each for each in found if each.withheld)
    assert "8 learned pools were met" in held.sentence
    assert "compatible with no difference" not in held.sentence


def test_a_gain_of_few_pools_says_what_it_takes_for_granted(by: Resampler):
    """Pools solve .95: where none solves .8 one in six that fails would undo it, which eight pools do not exclude."""
    seeds = [seed_means(rare(np.random.default_rng(seed), 8, 1.0, 0.95, 0.0, 0.8)) for seed in range(5)]
    better = [each for one in seeds for each in overall(one, SELF, by) if each.verdict == "better"]
    assert better
    assert all(each.sentence.endswith(f"; {each.assumes}.") and "8 pools met" in each.assumes for each in better)
    clear = seed_means(rare(np.random.default_rng(0), 8, 1.0, 0.95, 0.0, 0.3))
    assert [(each.verdict, each.assumes) for each in overall(clear, SELF, by)] == [("better", "")]


def test_eight_failures_in_a_row_are_no_proof_of_equivalence(by: Resampler):
    rng = np.random.default_rng(2)
    seeds = [seed_means(rare(rng, 8, 0.0, 1.0, 0.1, 0.1)) for _ in range(20)]
    found = [overall(each, SELF, by, margin=0.2, ranges={"Maze": (0.0, 1.0)})[0] for each in seeds]
    assert all(each.verdict != "equivalent" for each in found)


def test_equivalence_is_adjusted_in_its_family(by: Resampler):
    seeds = seed_means(simulate(np.random.default_rng(3), effects={"self": 0.0}, episodes=20).episodes)
    ranges = {"Maze": (0.0, 1.0), "Quiz": (0.0, 1.0)}
    found = overall(seeds, DECLARED, by, margin=0.15, ranges=ranges)
    known = [each for each in found if each.p_equivalence < 1]
    assert all(each.p_equivalence_adjusted >= each.p_equivalence for each in known)
    assert any(each.p_equivalence_adjusted > each.p_equivalence for each in known)


def test_a_failed_arm_stays_in_the_family(by: Resampler):
    episodes = simulate(np.random.default_rng(4)).episodes
    failed = episodes.assign(
        error=episodes["error"].where(episodes["arm"] != "random", "refused"),
    )
    declared = declare(failed["arm"].astype("str"))
    found = overall(seed_means(failed), declared, by)
    assert len(found) == len(DECLARED)
    assert {each.family for each in found} == {f"{len(DECLARED)} declared contrasts in return"}
    lost = [each for each in found if "random" in each.id]
    assert all(each.sentence.startswith("Undecided") and "no data" in each.sentence for each in lost)


def test_absent_arms_are_not_declared():
    assert [each.key for each in declare(["none", "self"])] == ["self-none"]


def test_return_and_solve_rate_share_a_family_unless_they_are_one(by: Resampler):
    study = simulate(np.random.default_rng(5))
    both = overall(seed_means(study.episodes), DECLARED, by, outcomes=("return", "solved"))
    assert both[0].family == f"{2 * len(DECLARED)} declared contrasts in return and solved"
    same = study.episodes.assign(**{"return": study.episodes["solved"]})
    one = overall(seed_means(same), DECLARED, by, outcomes=("return", "solved"))
    assert one[0].family == f"{len(DECLARED)} declared contrasts in return"
    assert one[0].p_adjusted == one[len(DECLARED)].p_adjusted


def test_every_episode_is_counted_once(by: Resampler):
    """Review: 1,600 episodes said "1920 episodes" of transfer − none."""
    episodes = simulate(np.random.default_rng(6), cross_task=True).episodes
    found = {each.id: each for each in overall(seed_means(episodes), DECLARED, by)}
    expected = int(episodes["arm"].isin(["transfer", "none"]).sum())
    assert found["contrast:return:transfer-none"].n_episodes == expected


def test_effect_sizes_have_intervals(by: Resampler):
    first = overall(seed_means(simulate(np.random.default_rng(7)).episodes), DECLARED, by)[0]
    assert first.effect_low < first.effect_size < first.effect_high


def test_pools_tried_on_two_tasks_are_decidable_with_four_runs(by: Resampler):
    """Review: transfer − none rested on 4 clusters and was barred, whatever the data."""
    seeds = seed_means(simulate(np.random.default_rng(8), runs=4, episodes=20, cross_task=True).episodes)
    found = {each.id: each for each in overall(seeds, declare(["none", "self", "transfer"]), by)}
    assert found["contrast:return:transfer-none"].verdict == "better"
    assert found["contrast:return:transfer-none"].freedom > 3


def test_whether_two_tasks_of_three_runs_can_be_decided_is_no_matter_of_chance(by: Resampler):
    """Satterthwaite's degrees of freedom of such data lie between 2 and 4: barred by them, one in four was mute."""
    found = [overall(seed_means(two_tasks(np.random.default_rng(k))), SELF, by)[0] for k in range(30)]
    assert min(each.freedom for each in found) < 2.9
    assert {round(each.offered, 6) for each in found} == {4}
    assert all((each.verdict == "better") == (each.p <= 0.05) for each in found)
    assert not any("a verdict needs" in each.sentence for each in found)
    barred = overall(seed_means(two_tasks(np.random.default_rng(0), runs=2)), SELF, by)[0]
    assert barred.sentence.endswith("a verdict needs 3 degrees of freedom, and these cells offer 2.0.")


def two_tasks(rng: np.random.Generator, runs: int = 3) -> pd.DataFrame:
    return simulate(rng, agents=("ada",), runs=runs, episodes=10, effects={"self": 0.6}).episodes


def test_runs_that_share_environment_seeds_are_one(by: Resampler):
    episodes = simulate(np.random.default_rng(9), runs=6).episodes
    shared = episodes.assign(env_seed=episodes["env_seed"] % 1000)
    assert overall(seed_means(shared), SELF, by)[0].n_clusters == 2
    assert overall(seed_means(shared), SELF, by)[0].verdict == "undecided"


def test_a_copy_is_no_other_run(by: Resampler):
    tables = simulate(np.random.default_rng(10))
    with pytest.raises(CompareError, match="a copy of the other"):
        compare({"first": tables, "renamed": Tables.of(tables.episodes.assign(run="renamed"))}, by)


def test_one_of_a_hundred_candidates_is_not_half(by: Resampler):
    """Review: parents of 100 and 1 candidates, one passed: "50 % (95 % CI 0 % to 100 %)"."""
    study = simulate(np.random.default_rng(11))
    rows = [("verdict", k, "ada", "Maze", k % 10, 0, f"u{k}", "p", 0.2, k / 100, 0.01, "rejected", None, None)
            for k in range(100)]  # fmt: skip
    rows.append(("verdict", 100, "ada", "Maze", 3, 0, "u100", "q", 0.2, 1.0, 0.01, "accepted", None, None))
    found = gate_calibration(Tables.of(study.episodes, events=frame(rows, EVENTS)), by).pass_rate
    assert found.estimate == pytest.approx(1 / 101)
    assert 0 < found.low < found.estimate < found.high < 0.1
