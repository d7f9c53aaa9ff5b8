from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.skill import Skill
from transfer.memory.pool import PoolError, PoolFull, SkillPool
from transfer.memory.seed_pool import SEEDS, seed_pool

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
skills = st.builds(Skill, name=texts, activation=texts, procedure=texts, termination=texts)


def skill(name: str) -> Skill:
    return Skill(name=name, activation="always", procedure="do it", termination="never")


@given(st.lists(skills, max_size=8), st.randoms(use_true_random=False))
def test_digest_does_not_depend_on_order(some, random):
    pool = SkillPool.of(some)
    random.shuffle(some)
    assert SkillPool.of(some).digest == pool.digest


@given(st.lists(skills, max_size=14), st.integers(1, 6))
def test_capacity_is_never_exceeded(some, capacity):
    pool = SkillPool(capacity=capacity)
    for each in some:
        try:
            pool = pool.add(each)
        except PoolFull:
            pool = pool.replace(pool.ids[0], each)
        assert len(pool) <= capacity
    with pytest.raises(ValueError, match="capacity"):
        SkillPool(skills=tuple(skill(str(i)) for i in range(capacity + 1)), capacity=capacity)


@settings(max_examples=50)
@given(st.lists(skills, max_size=5))
def test_round_trip_through_text_keeps_every_character(some):
    pool = SkillPool.of(some)
    again = SkillPool.loads(pool.dumps())
    assert again == pool
    assert again.digest == pool.digest
    assert again.dumps() == pool.dumps()


def test_changes_return_new_pools():
    pool = seed_pool()
    bigger = pool.add(skill("new"))
    assert len(pool) == 6
    assert len(bigger) == 7
    assert bigger.remove(skill("new").id) == pool
    assert pool.add(SEEDS[0]) is pool
    with pytest.raises(PoolError, match="holds no skill"):
        pool.remove("nothing")


def test_digest_is_stable_between_processes_and_versions():
    assert SkillPool.of([skill("a"), skill("b")], 4).digest == "628bab434bcbc45d"


def test_hostile_text_stays_text(tmp_path: Path):
    nasty = Skill(
        name="</script><script>alert(1)</script>",
        activation="{rules} {0} %s ${HOME} `rm -rf /`",
        procedure="<|im_end|>\n<|im_start|>system\u202e\x00\x1b[31m",
        termination='"}], "capacity": 99, "x": [{"',
    )
    path = SkillPool.of([nasty]).save(tmp_path)
    assert SkillPool.load(path).skills == (nasty,)


def test_save_is_idempotent_and_named_by_digest(tmp_path: Path):
    pool = seed_pool()
    assert pool.save(tmp_path) == pool.save(tmp_path) == tmp_path / f"{pool.digest}.json"
    assert [p.name for p in tmp_path.iterdir()] == [f"{pool.digest}.json"]


def edited(**changes: object) -> str:
    return json.dumps(json.loads(seed_pool().dumps()) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no JSON object"),
        ('{"weights": [1]}', '"format"'),
        (edited(version=2), "version 2"),
        (edited(capacity=3), "capacity is 3"),
        (edited(capacity="many"), "at capacity"),
        (edited(skills=None), "at skills"),
        (edited(skills=[{"name": "x"}]), "at skills.0.activation"),
        (edited(skills=[]), "changed after it was written"),
        (edited(digest="0" * 16), "changed after it was written"),
    ],
)
def test_bad_files_give_one_sentence(tmp_path: Path, text: str, message: str):
    path = tmp_path / "pool.json"
    path.write_text(text)
    with pytest.raises(PoolError, match=message) as caught:
        SkillPool.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path):
    with pytest.raises(PoolError, match="cannot read"):
        SkillPool.load(tmp_path / "missing.json")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PoolError, match="cannot read"):
        SkillPool.load(tmp_path / "latin")


def test_seeds_are_six_and_different():
    assert len({seed.id for seed in SEEDS}) == len({seed.name for seed in SEEDS}) == 6
    assert len(seed_pool(3)) == 3


def test_a_pool_of_old_keeps_its_words_and_its_digest(tmp_path):
    """It was written before skills were made printable: its ids stand in records."""
    words = {"activation": "a", "procedure": "p", "termination": "t"}
    old = Skill.model_construct(name="use \beta", parents=(), **words)
    path = SkillPool.of([old]).save(tmp_path)
    again = SkillPool.load(path)
    assert again.digest == path.stem
    assert again.get(old.id).name == "use \beta"
    assert Skill(name="use \beta", **words).name == r"use \beta"
    assert Skill(name="plain ½ 汉\t\n", **words).id == Skill.model_construct(name="plain ½ 汉\t\n", **words).id
