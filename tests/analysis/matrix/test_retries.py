"""Retries: solved by k attempts, compared with as many attempts without plans, and with nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.matrix.learning.retries import compare_retries
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import EPISODES, Tables

GAMES, ATTEMPTS = 40, 3


def tables(rng: np.random.Generator, chances: list[float], *, at_hand: bool) -> Tables:
    """Every game is tried until solved, the k-th time with chance `chances[k]`."""
    rows: list[dict[str, object]] = []
    for game in range(GAMES):
        for attempt, chance in enumerate(chances):
            solved = bool(rng.random() < chance)
            pool = "m" if at_hand or not attempt else None
            place = {"agent": "a", "task": "Doors-v0", "learning_run": game % 2, "iteration": 0, "episode": len(rows)}
            met = {"env_seed": game, "attempt": attempt, "pool": pool, "error": None}
            rows.append({**place, **met, "return": float(solved), "solved": solved})
            if solved:
                break
    episode = {column.name: 0 for column in EPISODES} | {"arm": "none", "agent": "a", "task": "Doors-v0", "error": None}
    return Tables.of(pd.DataFrame([episode]), learning=pd.DataFrame(rows), ranges={"Doors-v0": (0.0, 1.0)})


def compared(**memories: Tables):
    return compare_retries(memories, Resampler(np.random.default_rng(0), 200))


@pytest.fixture(scope="module")
def helped():
    rng = np.random.default_rng(1)
    return {
        "reflexion": tables(rng, [0.2, 0.8, 0.8], at_hand=True),
        "retry": tables(rng, [0.2, 0.2, 0.2], at_hand=False),
    }


def test_solved_by_k_attempts_is_the_share_of_games_with_a_success_among_them(helped):
    found = compared(**helped)
    assert found is not None
    table = found.table.set_index(["memory", "attempts"])
    for name, played in helped.items():
        for k in range(1, ATTEMPTS + 1):
            tried = played.learning[played.learning["attempt"] < k]
            assert table.loc[(name, k), "solved"] == pytest.approx(tried.groupby("env_seed")["solved"].max().mean())
            assert table.loc[(name, k), "played"] == len(tried)
            assert table.loc[(name, k), "games"] == GAMES


def test_plans_are_compared_with_as_many_attempts_without(helped):
    found = compared(**helped)
    assert found is not None
    solved = {each.outcome: each for each in found.findings}["solved"]
    last = [played.learning.groupby("env_seed")["solved"].max().astype(float) for played in helped.values()]
    assert solved.p < 0.01
    assert solved.p == pytest.approx(stats.ttest_rel(*last).pvalue, abs=0.01)
    assert (solved.verdict, solved.n_clusters, solved.cluster) == ("better", GAMES, "environment seed")
    assert "best of up to 3 attempts" in solved.subject
    assert "it says nothing of a first try" in solved.sentence


def test_more_attempts_alone_are_no_gain():
    """Retry beside retry: plans that do nothing are called better in one study of twenty, at most."""
    verdicts: list[str] = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = compared(with_plans=tables(rng, [0.3] * 3, at_hand=True), without=tables(rng, [0.3] * 3, at_hand=False))
        assert found is not None
        verdicts += [each.verdict for each in found.findings if each.outcome == "solved"]
    assert verdicts.count("better") <= stats.binom.ppf(0.99, 40, 0.025)


def test_without_plain_retry_nothing_is_claimed(helped):
    found = compared(reflexion=helped["reflexion"])
    assert found is not None
    assert found.findings == ()


def test_who_plays_no_game_twice_is_not_there():
    assert compared(rag=tables(np.random.default_rng(0), [0.5], at_hand=True)) is None


def test_games_that_an_older_table_holds_were_played_once():
    old = tables(np.random.default_rng(0), [0.5], at_hand=True).learning.drop(columns=["attempt", "pool"])
    episode = {column.name: 0 for column in EPISODES} | {"arm": "none", "agent": "a", "task": "Doors-v0", "error": None}
    assert (Tables.of(pd.DataFrame([episode]), learning=old).learning["attempt"] == 0).all()
