from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.embedding import LexicalEmbedder
from tests.support.fake_evolver import skill
from tests.support.minds import Compass
from tests.support.reference.algorithm import folded
from tests.support.reference.maintenance import Held, Tally, leaving
from tests.support.scenario import DRAFTS, Scenario, skill_of
from transfer.maintenance.rules import Always, FirstInFirstOut, LowerBound, OverCapacity, alike, prune
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, Score

EMBED = LexicalEmbedder()
WORDS = ["apple", "brick", "cloud", "drum", "eagle", "fork", "glass", "hat", "ink", "jar", "kite", "lamp"]
SKILLS = [skill(word, f"1. Take the {word}.", f"you see a {word} {word * 3}") for word in WORDS]
RULES = [Always(), OverCapacity(), LowerBound(), FirstInFirstOut()]


def state(scores: dict[int, Score], capacity: int = 10, iteration: int = 9, born: dict[int, int] | None = None):
    held = LearnerState.begin(SkillPool(capacity=capacity))
    return held.model_copy(
        update={
            "iteration": iteration,
            "scores": {SKILLS[index].id: score for index, score in scores.items()},
            "born": {SKILLS[index].id: since for index, since in (born or {}).items()},
        }
    )


def left(rule, skills, held: LearnerState) -> set[str]:
    after, _ = prune(held, skills, rule, EMBED)
    return {each.name for each in after.pool.each()}


scored = st.builds(lambda gain, n: Score(gain=gain, n=n), st.floats(-3, 3), st.integers(0, 20))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@given(
    scores=st.dictionaries(st.integers(0, 11), scored),
    born=st.dictionaries(st.integers(0, 11), st.integers(0, 10)),
    capacity=st.integers(1, 8),
    count=st.integers(1, 12),
)
def test_never_over_capacity_and_never_empty(rule, scores, born, capacity, count):
    after, events = prune(state(scores, capacity, born=born), SKILLS[:count], rule, EMBED)
    assert 1 <= len(after.pool) <= capacity
    assert len(after.pool) + len(events) == count


def test_scores_of_zero_or_less_go_once_there_is_evidence():
    held = state({0: Score(gain=1, n=5), 1: Score(gain=-1, n=5), 2: Score(gain=-1, n=2), 3: Score(gain=0, n=3)})
    assert left(Always(), SKILLS[:5], held) == {"apple", "cloud", "eagle"}
    assert left(OverCapacity(), SKILLS[:5], held) == {"apple", "brick", "cloud", "drum", "eagle"}


def test_the_best_of_a_hopeless_pool_stays():
    held = state({0: Score(gain=-3, n=5), 1: Score(gain=-1, n=5)})
    assert left(Always(), SKILLS[:2], held) == {"brick"}


def test_a_newcomer_is_not_the_first_to_leave_a_full_pool():
    held = state({0: Score(gain=1, n=9), 1: Score(gain=2, n=9)}, capacity=2, born={2: 10})
    assert left(Always(), SKILLS[:3], held) == {"brick", "cloud"}


def test_duplicates_go_by_text_and_by_embedding():
    twin = skill("copy", SKILLS[0].procedure.upper(), SKILLS[0].activation)
    near = skill("near", "1. Another way.", SKILLS[0].activation)
    held = state({0: Score(gain=1, n=5)}).model_copy(update={"born": {twin.id: 8, near.id: 8}})
    assert left(Always(), [SKILLS[0], twin, near], held) == {"apple", "near"}
    grown = held.model_copy(update={"scores": {SKILLS[0].id: Score(gain=1, n=5), near.id: Score(gain=9, n=5)}})
    assert left(Always(), [SKILLS[0], near], grown) == {"near"}


def test_first_in_first_out_evicts_the_best_when_it_is_oldest():
    held = state({0: Score(gain=9, n=9), 1: Score(gain=-9, n=9)}, capacity=1, born={0: 0, 1: 5})
    assert left(FirstInFirstOut(), SKILLS[:2], held) == {"brick"}
    assert left(Always(), SKILLS[:2], held) == {"apple"}


def test_lower_bound_prefers_the_well_known_as_the_official_code_does():
    held = state({0: Score(gain=8, n=80), 1: Score(gain=1, n=2)}, capacity=1, born={0: 0, 1: 0})
    assert left(LowerBound(), SKILLS[:2], held) == {"apple"}


def test_deaths_keep_the_score_of_what_was_tried():
    after, events = prune(state({0: Score(gain=-1, n=5)}), SKILLS[:2], Always(), EMBED)
    assert after.deaths == {SKILLS[0].id: pytest.approx(-0.2)}
    assert events[0].payload == {"why": "score ≤ 0", "score": pytest.approx(-0.2), "n": 5}


KINDS = {
    "always": (3, Always()),
    "one is enough": (1, Always(evidence=1)),
    "over-capacity": (3, OverCapacity()),
    "lower-bound": (3, LowerBound()),
    "fifo": (3, FirstInFirstOut()),
}


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_who_leaves_and_why_equals_the_second_implementation(name, seed):
    """Scores, ages and evidence on, above and below every threshold; twins and near twins among the skills."""
    rng = Random(seed)
    evidence, rule = KINDS[name]
    skills = [skill_of(mark) for mark in rng.sample(DRAFTS, rng.randint(1, 9))]
    iteration, most = rng.choice([0, 3, 5, 90]), rng.choice([3, 12, 81])
    tallies = {
        each.id: Tally(n * rng.choice([-0.5, -0.001, 0.0, 0.0, 0.05, 0.061, 0.4]), n)
        for each in skills
        if (n := rng.choice([0, 1, 2, 3, 4, 9, 10, 11, 79, 80, 81])) <= most
    }
    born = {each.id: max(0, iteration - rng.choice([-1, 1, 2, 3, 4, 5, 90])) for each in skills if rng.random() < 0.9}
    held = LearnerState.begin(SkillPool(capacity=rng.randint(1, len(skills) + 1))).model_copy(
        update={
            "iteration": iteration,
            "scores": {id: Score(gain=each.gain, n=each.n) for id, each in tallies.items()},
            "born": born,
        }
    )
    known = [
        Held(
            each.id, folded(each), Scenario.vector(each.activation), tallies.get(each.id, Tally()), born.get(each.id, 0)
        )
        for each in skills
    ]
    kind = "always" if name == "one is enough" else name
    assert rule.deaths(skills, held, Compass()) == leaving(kind, evidence, known, held.pool.capacity, iteration)


def test_the_well_known_and_bad_goes_first_over_capacity_then_the_least_known():
    """As released: n ≥ 10, older than two iterations, bound below −.001; then by evidence, 10 and 80 trajectories."""
    scores = {0: Score(gain=-9, n=20), 1: Score(gain=0.5, n=9), 2: Score(gain=8, n=40), 3: Score(gain=9, n=90)}
    order = [left(LowerBound(), SKILLS[:4], state(scores, capacity=capacity, iteration=9)) for capacity in (3, 2, 1)]
    assert order == [{"brick", "cloud", "drum"}, {"cloud", "drum"}, {"drum"}]
    fresh = state(scores, capacity=3, iteration=2)
    assert left(LowerBound(), SKILLS[:4], fresh) == {"apple", "cloud", "drum"}


def test_a_likeness_of_exactly_the_threshold_is_a_likeness():
    class Two:
        def embed(self, texts):
            return np.array([[1.0, 0.0], [0.95, math.sqrt(1 - 0.95**2)]])

    assert len(alike(SKILLS[:2], Two(), 0.95)) == 1
    assert alike(SKILLS[:2], Two(), 0.9500001) == []
    assert alike(SKILLS[:1], Two(), 0.0) == []


def test_a_score_of_zero_up_to_rounding_is_a_score_of_zero():
    for value in (1e-17, 1e-12):
        held = state({0: Score(gain=4 * value, n=4), 1: Score(gain=1, n=5)})
        assert left(Always(), SKILLS[:2], held) == {"brick"}


def test_those_that_leave_take_their_cooldown_and_buffer_with_them():
    ids = [each.id for each in SKILLS[:2]]
    held = state({0: Score(gain=-1, n=5), 1: Score(gain=1, n=5)}).model_copy(
        update={
            "cooldowns": dict.fromkeys(ids, 12),
            "buffer": dict.fromkeys(ids, ("t",)),
            "born": dict.fromkeys(ids, 3),
        }
    )
    after, _ = prune(held, SKILLS[:2], Always(), EMBED)
    assert (after.cooldowns, after.buffer, after.born) == ({ids[1]: 12}, {ids[1]: ("t",)}, {ids[1]: 3})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_an_empty_pool_loses_nobody(rule):
    after, events = prune(state({}), [], rule, EMBED)
    assert (len(after.pool), events) == (0, [])


def test_the_bound_widens_with_the_age_of_the_oldest_and_with_nothing_else():
    scores = {0: Score(gain=0.3, n=1), 1: Score(gain=0.4, n=4)}
    aged = {since: state(scores, capacity=1, iteration=100, born={0: since, 1: 99}) for since in (99, 0)}
    assert [left(LowerBound(), SKILLS[:2], held) for held in aged.values()] == [{"apple"}, {"brick"}]


@pytest.mark.parametrize(("bound", "first"), [(-0.001, "brick"), (0.0005, "brick"), (-0.0011, "apple")])
def test_proven_bad_is_below_a_thousandth_under_zero(bound, first):
    """The well-known apple leaves before the less known brick only where it is proven bad."""
    held = state({0: Score(gain=128 * bound, n=128), 1: Score(gain=16, n=16)}, capacity=1, iteration=9)
    assert left(LowerBound(width=0.0), SKILLS[:2], held) == {"apple", "brick"} - {first}
