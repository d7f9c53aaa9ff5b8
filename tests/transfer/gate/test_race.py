"""The race: who plays whom, on which games, until when, and what follows."""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

import numpy as np
import pytest

from tests.support.fake_evolver import skill, trajectory
from transfer.gate.gate import Verdict
from transfer.gate.race import Heat, NoRace, Race, likeliest
from transfer.memory.learner import unplayable

PARENT = skill()
SEVERAL = [skill(f"new {index}", f"1. Do {index}.") for index in range(3)]


class Found(NamedTuple):
    e_greater: float
    lower: float
    upper: float


class Sum:
    """A fake test: e grows with the sum of the differences, the sequence closes in on their mean."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def add(self, value: float) -> Found:
        self.values.append(value)
        mean, width = float(np.mean(self.values)), 1.0 / len(self.values)
        return Found(math.exp(sum(self.values)), mean - width, mean + width)


class Arena:
    """A fake `Play` of a game that pays what its skill is worth; `budget` episodes, those of `lost` never end."""

    def __init__(self, worth: dict[str | None, float], budget: int = 10**6, lost: tuple[int, ...] = ()) -> None:
        self.worth, self.budget, self.lost = worth, budget, lost
        self.calls: list[tuple[str | None, tuple[int, ...]]] = []

    async def __call__(self, memory, env_seeds, *, paired):
        assert paired
        name = None if memory is None else next(memory.each()).id
        self.calls.append((name, tuple(env_seeds)))
        games, self.budget = env_seeds[: self.budget], self.budget - len(env_seeds[: self.budget])
        ended = [seed for index, seed in enumerate(games) if (len(self.calls), index) not in self.lost]
        return [
            trajectory(f"{name}/{seed}", [("[a]", self.worth[name])], None).model_copy(update={"env_seed": seed})
            for seed in ended
        ]

    @property
    def played(self) -> int:
        return sum(len(seeds) for _, seeds in self.calls)


def heat(candidates=SEVERAL, changes=(None, None, None), stderr=0.1):
    verdicts = [
        Verdict(skill=each.id, outcome="rejected", why="gate", change=change, stderr=stderr)
        for each, change in zip(candidates, changes, strict=True)
    ]
    return Heat(PARENT, candidates, verdicts, "T", 10, 4, np.random.default_rng(0))


def race(**changes):
    return Race(lambda task, level: Sum(), **{"pairs": 8, "look": 2, **changes})


def decide(race, heat, arena):
    return asyncio.run(race.decide(heat, arena))


def worth(*gains):
    return {PARENT.id: 0.0, **{each.id: gain for each, gain in zip(SEVERAL, gains, strict=True)}}


def test_what_wins_its_duel_is_admitted_and_ends_the_race():
    arena = Arena(worth(0.0, 1.0, 1.0))
    found = decide(race(), heat(), arena)
    assert [each.outcome for each in found.verdicts] == ["undecided", "accepted", "undecided"]
    assert [each.skill for each in found.verdicts] == [each.id for each in SEVERAL]
    assert "another was admitted" in found.verdicts[2].why
    lost, won = found.duels
    assert (lost.skill, lost.outcome, len(lost.differences)) == (SEVERAL[0].id, "undecided", 8)
    assert (won.skill, won.outcome, won.differences) == (SEVERAL[1].id, "accepted", (1.0,) * 3)  # e³ ≥ 20
    assert won.parents == (PARENT.id,)
    assert won.iteration == 4


def test_both_sides_play_the_same_games_and_the_parents_are_played_once():
    arena = Arena(worth(0.0, 0.0, 0.0))
    found = decide(race(), heat(), arena)
    assert len({duel.env_seeds for duel in found.duels}) == 1
    games = [seed for name, seeds in arena.calls if name == PARENT.id for seed in seeds]
    assert tuple(games) == found.duels[0].env_seeds
    assert [duel.episodes for duel in found.duels] == [16, 8, 8]
    assert found.episodes == arena.played == 32
    assert found.duels[1].trajectories[:2] == tuple(f"{id}/{games[0]}" for id in (PARENT.id, SEVERAL[1].id))


def test_what_surely_gains_too_little_is_dropped():
    assert decide(race(margin=0.5), heat(), Arena(worth(0.2, -2.0, 1.0))).verdicts[1].outcome == "rejected"
    short, long = (
        decide(race(margin=margin), heat(SEVERAL[:1], [None]), Arena(worth(0.2, 0, 0))).duels[0] for margin in (0.5, 0)
    )
    assert (short.outcome, len(short.env_seeds)) == ("rejected", 4)  # .2 + 1/4 < .5
    assert (long.outcome, len(long.env_seeds)) == ("undecided", 8)
    assert short.high is not None
    assert short.high < 0.5


def test_a_spent_budget_ends_the_duel_without_a_decision():
    arena = Arena(worth(0.1, 1.0, 1.0), budget=11)
    found = decide(race(), heat(), arena)
    assert [each.outcome for each in found.verdicts] == ["undecided"] * 3
    assert len(found.duels[0].differences) == 5
    assert found.episodes == 11
    assert found.duels[1].why == "duel: no games could be played"
    assert found.duels[1].low is None
    nowhere = asyncio.run(race().decide(heat(), unplayable))
    assert [each.outcome for each in nowhere.verdicts] == ["undecided"] * 3
    assert nowhere.episodes == 0


def test_a_lost_game_is_no_pair():
    found = decide(race(), heat(SEVERAL[:1], [None]), Arena(worth(0.0, 0.0, 0.0), lost=((1, 0), (4, 1))))
    assert len(found.duels[0].differences) == 6
    assert found.episodes == 13  # seven that the parent ended, six of these that the candidate ended, too


def test_the_likelihood_decides_who_races_and_in_which_order():
    entered = heat(changes=(-0.05, -0.2, 0.3))
    assert likeliest(entered.verdicts, 1.0) == [2, 0]
    assert likeliest(entered.verdicts, 3.0) == [2, 0, 1]
    assert likeliest(heat(changes=(None, -0.05, 0.1)).verdicts, 1.0) == [2, 1, 0]
    found = decide(race(entry=likeliest, screen=1.0), entered, Arena(worth(1.0, 1.0, 0.0)))
    assert [duel.skill for duel in found.duels] == [SEVERAL[2].id, SEVERAL[0].id]
    assert [each.outcome for each in found.verdicts] == ["accepted", "rejected", "undecided"]
    assert found.verdicts[1].why == "does not race: ΔJ -0.2 is surely below 0"
    assert found.verdicts[0].change == -0.05  # what the gate measured stays


def test_the_opponent_may_be_no_skill_at_all():
    arena = Arena({None: 0.0, SEVERAL[0].id: 1.0})
    found = decide(race(against_parent=False), heat(SEVERAL[:1], [None]), arena)
    assert found.verdicts[0].outcome == "accepted"
    assert arena.calls[0][0] is None
    assert found.duels[0].parents == ()


def test_without_a_race_the_gates_verdicts_stand():
    entered = heat()
    found = asyncio.run(NoRace().decide(entered, Arena({})))
    assert found.verdicts == list(entered.verdicts)
    assert (found.duels, found.episodes) == ([], 0)


def test_a_return_that_is_no_number_is_no_pair():
    found = decide(race(), heat(SEVERAL[:1], [None]), Arena({PARENT.id: 0.0, SEVERAL[0].id: math.nan}))
    assert found.duels[0].differences == ()
    assert found.verdicts[0].outcome == "undecided"


@pytest.mark.parametrize("look", [1, 3])
def test_a_duel_is_over_as_soon_as_it_is_decided_whatever_is_played_at_once(look):
    found = decide(race(look=look), heat(SEVERAL[:1], [None]), Arena(worth(1.0, 0.0, 0.0)))
    assert len(found.duels[0].differences) == 3
