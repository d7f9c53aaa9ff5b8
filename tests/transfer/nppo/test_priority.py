"""Which skills are evolved, and in which order, against the second implementation."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_evolver import skill
from tests.support.reference.algorithm import Memory, parents
from tests.support.reference.maintenance import Tally
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, Score
from transfer.nppo.priority import AsReleased, ByPotential

SKILLS = [skill(f"s{i}", f"{i}. Do it.") for i in range(6)]


@pytest.mark.parametrize(("name", "rule"), [("potential", ByPotential), ("as-released", AsReleased)])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_order_equals_the_second_implementation(name, rule, seed):
    """Calls, gaps, ages and cooldowns on, above and below every threshold."""
    rng = Random(seed)
    held = {each.id: each for each in SKILLS[: rng.randint(1, 6)]}
    iteration, most = rng.choice([0, 1, 6, 20]), rng.choice([1, 2, 9])
    tallies = {
        id: Tally(n * rng.choice([-0.3, 0.0, 0.0, 0.2, 0.21, 0.4]), n, rng.choice([0, 3, 14, 15, 16, 17, 60]))
        for id in held
        if (n := rng.choice([0, 1, 2, 20, 40])) or rng.random() < 0.3
    }
    memory = Memory(
        held,
        capacity=9,
        iteration=iteration,
        scores=tallies,
        buffer={id: ("t",) * rng.choice([2, 3, 3, 4]) for id in held if rng.random() < 0.95},
        cooldowns={id: iteration + rng.randint(0, 3) for id in held if rng.random() < 0.3},
        born={id: rng.randint(0, iteration) for id in held},
    )
    state = LearnerState(
        pool=SkillPool.of(held.values()),
        iteration=iteration,
        scores={id: Score(gain=each.gain, n=each.n, calls=each.calls) for id, each in tallies.items()},
        buffer=memory.buffer,
        cooldowns=memory.cooldowns,
        born=memory.born,
    )
    assert rule(most=most).parents(state, 3) == parents({"batch": 3, "parents": most, "priority": name}, memory)


def test_two_at_a_time():
    held = SKILLS[:4]
    buffer = {each.id: ("t",) * 6 for each in held}
    state = LearnerState(pool=SkillPool.of(held), buffer=buffer)
    assert len(ByPotential().parents(state, 6)) == len(AsReleased().parents(state, 6)) == 2


def test_as_good_as_the_best_is_within_a_hundredth_the_hundredth_included():
    best, close = sorted(SKILLS[:2], key=lambda each: each.id)
    scores = {best.id: Score(gain=0.01, n=1, calls=15), close.id: Score(gain=0.0, n=1, calls=15)}
    held = SkillPool.of([best, close])
    state = LearnerState(pool=held, scores=scores, buffer=dict.fromkeys(held.ids, ("t",)))
    assert AsReleased().parents(state, 1) == [best.id, close.id]
    further = scores | {close.id: Score(gain=-0.001, n=1, calls=15)}
    assert AsReleased().parents(state.model_copy(update={"scores": further}), 1) == [close.id, best.id]
