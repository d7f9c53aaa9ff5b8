from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.embedding import LexicalEmbedder
from tests.support.fake_evolver import skill
from transfer.maintenance.rules import Always, FirstInFirstOut, LowerBound, OverCapacity, prune
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
