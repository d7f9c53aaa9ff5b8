"""The shuffled-skill control: everything but the steps stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.skill import Skill
from transfer.memory.controls import shuffle_procedures
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import SEEDS, seed_pool

WORDS = st.sampled_from(["one", "two", "three"])
SKILLS = st.builds(
    lambda number, words: Skill(name=f"skill {number}", activation=words, procedure=words, termination="done"),
    st.integers(0, 20),
    WORDS,
)
POOLS = st.lists(SKILLS, max_size=6).map(SkillPool.of)


@given(POOLS, st.lists(POOLS, max_size=3))
def test_only_the_steps_change_and_they_are_another_skills(pool, others):
    made = shuffle_procedures(pool, others)
    own = {(skill.name, skill.activation, skill.termination): skill for skill in pool.each()}
    borrowed = {skill.procedure for other in others for skill in other.each() if skill.id not in pool}
    donors = borrowed or {skill.procedure for skill in pool.each()}
    assert {(skill.name, skill.activation, skill.termination) for skill in made.each()} == set(own)
    for skill in made.each():
        before = own[skill.name, skill.activation, skill.termination]
        assert skill.parents == (before.id,)
        if donors - {before.procedure}:
            assert skill.procedure in donors - {before.procedure}
        else:
            assert skill.id == before.id
    assert shuffle_procedures(pool, others[::-1]) == made
    assert made.capacity == pool.capacity


def test_a_skill_learned_elsewhere_lends_its_steps_first():
    ours, theirs = SkillPool.of(SEEDS[:3]), SkillPool.of(SEEDS[2:])
    made = shuffle_procedures(ours, [theirs])
    lent = {skill.procedure for skill in theirs.each() if skill.id not in ours}
    assert {skill.procedure for skill in made.each()} == lent


def test_without_others_neighbours_lend_theirs():
    pool = seed_pool()
    made = shuffle_procedures(pool, [])
    assert sorted(skill.procedure for skill in made.each()) == sorted(skill.procedure for skill in pool.each())
    assert not set(made.ids) & set(pool.ids)


def test_a_skill_alone_stays_as_it_is():
    alone = SkillPool.of(SEEDS[:1])
    assert shuffle_procedures(alone, []).ids == alone.ids
    assert len(shuffle_procedures(SkillPool.of(()), [])) == 0
