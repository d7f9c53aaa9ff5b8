"""Directed exchange: what goes along the routes, and what becomes of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.members import JUDGE, exchange, holders, skill, society, state
from transfer.exchange.admission import AdmissionCase
from transfer.exchange.common_pool import COMMONS
from transfer.exchange.policies import EXCHANGES
from transfer.exchange.population import NOBODY, Gift, MemberUpdate, Population
from transfer.gate.gate import Verdict


def test_the_best_skill_goes_along_the_route():
    good, bad = skill("good"), skill("bad")
    before = society(a=state(good, bad, scores={good.id: 0.5, bad.id: -0.5}), b=state(skill("other")))
    after, said = exchange("ring", before, rate=3)
    assert holders(after, good.id) == ["a", "b"]
    assert holders(after, bad.id) == ["a"]  # what harmed its giver is not given
    gift = next(each for each in said if each.event.kind == "gift" and each.member == "b")
    assert gift.event.payload["from"] == "a"
    assert gift.event.payload["author"] == NOBODY
    assert gift.event.payload["skill"]["name"] == "good"
    admitted = next(each for each in said if each.event.kind == "admitted" and each.member == "b")
    assert admitted.event.payload == {"from": "a"}


@pytest.mark.parametrize(("direction", "expected"), [("forward", "b"), ("backward", "c"), ("both", "bc")])
def test_direction(direction, expected):
    mine = skill("mine")
    before = society(a=state(mine), b=state(skill("b")), c=state(skill("c")))
    after, _ = exchange("ring", before, direction=direction)
    assert [name for name in holders(after, mine.id) if name != "a"] == list(expected)


def test_rate_capacity_and_pace():
    gifts = [skill(f"s{index}") for index in range(4)]
    before = society(a=state(*gifts, capacity=8), b=state(skill("b"), capacity=8))
    for rate, capacity, expected in ((1, 4, 1), (3, 4, 3), (4, 2, 2)):
        after, _ = exchange("ring", before, rate=rate, capacity=capacity)
        assert len(after.members["b"].state.pool) == 1 + expected
    assert exchange("ring", before, round=3, every=2)[0] == before
    assert exchange("migration", before, round=2)[0] == before
    assert exchange("migration", before, round=3)[0] != before


@given(
    st.sampled_from([name for name in EXCHANGES if name != "graph"]),
    st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=4), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_capacity_always_holds_and_nobody_ends_empty(name, pools, rate, seed):
    rng = random.Random(seed)
    every = [skill(f"s{index}") for index in range(13)]
    if name == "commons":
        pools = [pools[0]] * len(pools)
    members = {}
    for place, pool in enumerate(pools):
        own = [every[index] for index in sorted(pool)]
        members[f"m{place}"] = state(*own, scores={each.id: rng.uniform(-1, 1) for each in own})
    after, said = exchange(name, society(**members), round=3, intake=JUDGE, rate=rate, capacity=rate)
    for member in after.members.values():
        assert 1 <= len(member.state.pool) <= 4
        assert set(member.state.born) == set(member.state.pool.ids)
    # what the events say is what has happened
    for who, member in after.members.items():
        held = set(members[who].pool.ids)
        for each in (each for each in said if each.member in (who, COMMONS)):
            held |= {each.event.skill} if each.event.kind == "admitted" else set()
            held -= {each.event.skill} if each.event.kind == "pruned" else set()
        assert held == set(member.state.pool.ids)


def test_nobody_takes_again_what_it_has_dropped():
    bad = skill("bad")
    both = society(a=state(bad), b=state(bad, skill("b")))
    learned = both.grown({"b": MemberUpdate(state(skill("b")), ("t",))})
    after, said = exchange("ring", learned)
    assert holders(after, bad.id) == ["a"]
    assert not [each for each in said if each.event.skill == bad.id]
    assert learned.members["b"].recent == ("t",)


def test_authors_are_the_first_to_hold():
    seed, own = skill("seed"), skill("own")
    start = society(a=state(seed), b=state(seed))
    grown = start.grown({name: MemberUpdate(state(seed, own), ()) for name in ("a", "b")})
    assert grown.authors == {seed.id: NOBODY, own.id: "a"}


def test_who_is_lost_neither_gives_nor_takes():
    mine = skill("mine")
    before = society(a=state(mine), b=state(skill("b")), c=state(skill("c")))
    before = before.replace({"b": before.members["b"].model_copy(update={"lost": "gone"})})
    after, _ = exchange("ring", before)
    assert holders(after, mine.id) == ["a", "c"]
    assert after.members["b"] == before.members["b"]


class Undecided:
    """Admits nothing for the first `times` calls. A fake."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.batches: list[int] = []

    async def judge(self, cases: Sequence[AdmissionCase]) -> list[Verdict]:
        self.batches.append(len(cases))
        outcome = "undecided" if len(self.batches) <= self.times else "accepted"
        return [Verdict(skill=case.skill.id, outcome=outcome, why="fake") for case in cases]


def test_an_undecided_gift_waits_in_quarantine_and_cannot_be_used():
    mine = skill("mine")
    judge = Undecided(1)
    first, _ = exchange("ring", society(a=state(mine), b=state(skill("b"))), admission=judge, every=5, round=5)
    assert holders(first, mine.id) == ["a"]
    assert [gift.skill for gift in first.members["b"].quarantine] == [mine]
    second, _ = exchange("ring", first, admission=judge, every=5, round=6)
    assert holders(second, mine.id) == ["a", "b"]
    assert second.members["b"].quarantine == ()


def test_a_gift_lapses_when_nothing_can_be_decided():
    mine = skill("mine")
    judge = Undecided(9)
    found = society(a=state(mine), b=state(skill("b")))
    for round in (5, 6, 7):
        found, _ = exchange("ring", found, admission=judge, every=5, round=round, patience=2)
    assert found.members["b"].quarantine == ()
    assert mine.id in found.members["b"].refused


def test_a_gift_that_its_giver_has_pruned_meanwhile_is_dropped():
    mine = skill("mine")
    found = society(a=state(skill("a")), b=state(skill("b")))
    waiting = Gift(giver="a", skill=mine, since=1)
    found = found.replace({"b": found.members["b"].model_copy(update={"quarantine": (waiting,)})})
    after, said = exchange("ring", found, round=2, every=9)
    assert holders(after, mine.id) == []
    assert after.members["b"].quarantine == ()
    assert [each.event.payload["why"] for each in said] == ["its giver has pruned it meanwhile"]


def test_a_society_is_json_and_back():
    found = society(a=state(skill("a"), scores={"x": 1.0}), b=state(skill("b")))
    member = found.members["a"].model_copy(
        update={"quarantine": (Gift(giver="b", skill=skill("g"), since=1),), "refused": ("r",), "lost": "why"}
    )
    found = found.replace({"a": member})
    assert Population.model_validate_json(found.model_dump_json()) == found
