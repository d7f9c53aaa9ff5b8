"""The shared pool: lossless under many writers, and judged by everybody's evidence."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.members import KEEP, exchange, skill, society, state
from transfer.exchange.common_pool import COMMONS
from transfer.exchange.population import MemberUpdate
from transfer.exchange.shared_pool import PoolChange, SharedPool
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import SEEDS


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_a_commons_loses_no_write(asked, capacity):
    every = [skill(f"s{index}") for index in range(21)]
    commons = SharedPool(state(SEEDS[0], capacity=capacity), KEEP)
    held = {SEEDS[0].id}
    for place, (index, adds) in enumerate(asked, 1):
        each = every[index]
        change = PoolChange("w", (each,)) if adds else PoolChange("w", (), (each.id,))
        receipt = commons.write(change)
        assert receipt.version == commons.read().version == place
        told = {*receipt.admitted, *receipt.pruned, *receipt.declined}
        assert each.id in told
        held = (held | {*receipt.admitted}) - {*receipt.pruned}
        assert held == set(commons.read().state.pool.ids)
        assert 1 <= len(held) <= capacity


@pytest.mark.parametrize("seed", range(4))
def test_many_concurrent_writers(seed):
    """48 threads write and read at once: every write is one version, none is lost, and no read is torn."""
    writers, writes, capacity = 48, 12, 6
    commons = SharedPool(state(SEEDS[0], capacity=capacity), KEEP)
    receipts: list[list] = [[] for _ in range(writers)]
    torn: list[str] = []
    start = threading.Barrier(writers)

    def write(number: int) -> None:
        rng = random.Random(1000 * seed + number)
        start.wait()
        for turn in range(writes):
            version, seen = commons.read()
            if len(seen.pool) > capacity or set(seen.born) != set(seen.pool.ids):
                torn.append(f"{version}: {seen}")
            dropped = (rng.choice(seen.pool.ids),) if rng.random() < 0.4 else ()
            receipts[number].append(commons.write(PoolChange(str(number), (skill(f"{number}-{turn}"),), dropped)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []
    log = sorted((receipt for own in receipts for receipt in own), key=lambda receipt: receipt.version)
    assert [receipt.version for receipt in log] == list(range(1, writers * writes + 1))
    for own in receipts:  # each writer's writes stand in its own order
        assert [receipt.version for receipt in own] == sorted(receipt.version for receipt in own)
    held = {SEEDS[0].id}
    for receipt in log:
        assert {each.id for each in receipt.change.added} <= {*receipt.admitted, *receipt.declined}
        assert {*receipt.change.dropped} <= {*receipt.pruned, *receipt.declined}
        held = (held | {*receipt.admitted}) - {*receipt.pruned}
        assert len(held) <= capacity
    assert held == set(commons.read().state.pool.ids)


def test_the_commons_goes_by_everybodys_evidence():
    good, bad = skill("good"), skill("bad")
    commons = SharedPool(state(good, bad, skill("third"), scores={good.id: 0.3, bad.id: -0.3}), KEEP)
    receipt = commons.write(PoolChange("a", (), (good.id, bad.id, "nobody-knows")))
    assert receipt.declined == {good.id: "it serves the others", "nobody-knows": "it was pruned meanwhile"}
    assert receipt.pruned == {bad.id: "its writer dropped it"}


def test_sharing_gives_everybody_the_same_pool():
    seed, new = skill("seed"), skill("new")
    base = society(a=state(seed), b=state(seed), c=state(seed))
    learned = base.grown({"b": MemberUpdate(state(seed, new), ())})
    after, said = exchange("commons", learned, base=base)
    assert {member.state.pool.ids for member in after.members.values()} == {SkillPool.of([seed, new], 4).ids}
    assert after.version == 3
    admitted = [each for each in said if each.event.kind == "admitted"]
    assert [(each.member, each.event.payload["from"]) for each in admitted] == [(COMMONS, "b")]
