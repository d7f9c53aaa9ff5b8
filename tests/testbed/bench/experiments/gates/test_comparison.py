"""Gates held against each other where the truth is known, and the race's promise where there is nothing to gain."""

from __future__ import annotations

import asyncio

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.sequential.e_processes import SymmetricTest
from analysis.statistics.sequential.evidence import SequentialProcess
from testbed.bench.experiments.closed_forms import CLOSED_FORMS, LeverPlayer, player, skill_of
from testbed.bench.experiments.gates.calibration import collect
from testbed.bench.experiments.gates.comparison import LIKELIER, Arena, QuickProcess, judge_all
from testbed.bench.experiments.gates.learning import learn_all
from testbed.bench.experiments.gates.rates import rates
from testbed.bench.experiments.players.mastermind import CODES, MastermindPlayer, pegs
from testbed.config.plugins import find_environment
from testbed.play.learners import duel_tests
from tests.support.fake_evolver import skill, trajectory
from transfer.gate.gate import Verdict
from transfer.gate.race import Heat, Race, verdict_of

SOME = {
    "none": {"gate": "none"},
    "likelihood": LIKELIER,
    "race": {"gate": "race", "duel_pairs": 40},
    "both": LIKELIER | {"gate": "likelihood+race", "duel_pairs": 40},
}


def test_mastermind_pays_what_is_simulated():
    form = MastermindPlayer()
    rng = np.random.default_rng(2)
    settings = np.array([-2.5, 0.0])
    played = asyncio.run(collect(player(form), form.environment, skill_of(settings), env_seeds=range(60), rng=rng))
    totals = [each.total for each in played]
    assert sum(each.invalid for each in played) == 0
    assert form.true_return(settings) == pytest.approx(np.mean(totals), abs=4 * np.std(totals) / np.sqrt(60))


def test_pegs_are_mastermind_s():
    place = {code: index for index, code in enumerate(CODES)}
    assert pegs()[place[1, 2, 3, 4], place[1, 3, 2, 5]] == 12
    assert pegs()[place[1, 2, 3, 4], place[1, 2, 3, 4]] == 40
    assert (pegs() == pegs().T).all()


def test_a_bold_change_is_judged_rightly():
    """Candidates far from their parents: the race lets in most of what truly gains, and next to nothing else."""
    judged = asyncio.run(judge_all(LeverPlayer(step=3.0), SOME, parents=5, seeds=np.random.SeedSequence(4)))
    assert len(judged) == 4 * 5 * 3
    table = rates(judged, worth=0.2).set_index("gate")
    assert table.loc["none", ["gain > 0", "gain ≤ 0", "tokens"]].tolist() == [1.0, 1.0, 0.0]
    assert table.loc["race", "gain ≥ 0.2"] > 0.7
    assert table.loc["race", "gain ≤ 0"] <= 0.1
    assert table.loc["both", "tokens"] > table.loc["likelihood", "tokens"] > 0
    for kind in ("gain ≥ 0.2", "gain > 0", "gain ≤ 0"):
        assert (table[f"{kind}: low"] <= table[kind]).all()
        assert (table[kind] <= table[f"{kind}: high"]).all()
        assert table[f"{kind}: n"].nunique() == 1


def test_paired_games_of_like_skills_hardly_differ():
    form = CLOSED_FORMS["doors"]
    rng = np.random.default_rng(1)
    settings = form.draw(rng)
    arena = Arena(form, 5)
    near, far = (skill_of(settings + rng.normal(scale=scale, size=16)) for scale in (0.05, 3.0))

    async def differences(other):
        pairs = [(await arena.one(skill_of(settings), seed), await arena.one(other, seed)) for seed in range(40)]
        return np.array([away.total - home.total for home, away in pairs])

    assert np.std(asyncio.run(differences(near))) < 0.5 * np.std(asyncio.run(differences(far)))


def test_learning_ends_when_its_tokens_are_spent():
    some = {name: SOME[name] for name in ("none", "race")}
    table = asyncio.run(learn_all(LeverPlayer(), some, runs=2, episodes=48, seeds=np.random.SeedSequence(7)))
    assert table[["run", "gate"]].to_records(index=False).tolist() == [(r, g) for r in (0, 1) for g in ("none", "race")]
    assert table.groupby("run")["first"].nunique().eq(1).all()
    assert (table["admitted"][table["gate"] == "none"] > 0).all()
    pd.testing.assert_frame_equal(
        table, asyncio.run(learn_all(LeverPlayer(), some, runs=2, episodes=48, seeds=np.random.SeedSequence(7)))
    )


def test_the_quick_process_admits_as_the_test_of_a_study_does_and_drops_no_later():
    rng = np.random.default_rng(0)
    decided = set()
    for shift in (-0.4, 0.0, 0.4) * 3:
        quick, whole = QuickProcess(0.05), SequentialProcess(SymmetricTest(-1, 1), 0.95)
        for difference in np.round(rng.normal(shift, 0.25, size=14) * 4) / 4:
            early, late = (verdict_of(each.add(float(difference)), 0.05, 0.0) for each in (quick, whole))
            assert (early == "accepted") == (late == "accepted")
            assert early == "rejected" or late != "rejected"
            decided |= {early, late}
    assert decided == {None, "accepted", "rejected"}


@pytest.mark.parametrize("test", ["symmetric", "betting"])
def test_what_is_no_better_is_seldom_let_in(test):
    """Returns of both sides from one distribution on {0, ¼, …, 1}: at most α of the duels, plus 3 standard errors."""
    parent, candidate = skill(), skill("new", "1. Do something else.")
    tests = duel_tests({"T": find_environment("Doors-v0")})
    race = Race(tests[test], pairs=12, look=12)
    rng = np.random.default_rng(3)

    async def play(memory, env_seeds, *, paired):
        draws = rng.binomial(4, 0.4, size=len(env_seeds)) / 4
        return [
            trajectory(str(seed), [("[a]", float(draw))], None).model_copy(update={"env_seed": seed})
            for seed, draw in zip(env_seeds, draws, strict=True)
        ]

    async def admitted():
        verdict = Verdict(skill=candidate.id, outcome="accepted", why="")
        heats = (Heat(parent, [candidate], [verdict], "T", 1, 0, rng) for _ in range(60))
        return np.mean([(await race.decide(heat, play)).verdicts[0].outcome == "accepted" for heat in heats])

    assert asyncio.run(admitted()) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
