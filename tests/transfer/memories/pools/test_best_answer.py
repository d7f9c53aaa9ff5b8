"""The learner that notes the one answer that paid most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.support.fake_evolver import trajectory
from transfer.memories.pools.best_answer import NAME, BestAnswer, Tried, most_paying
from transfer.memory.events.contents import Admitted, Pruned
from transfer.memory.experience import Trajectory
from transfer.memory.seed_pool import seed_pool
from transfer.memory.state import LearnerState


def game(id: str, *moves: tuple[str, float]) -> Trajectory:
    return trajectory(id, moves, None)


def learned(state: LearnerState, fresh: Sequence[Trajectory]):
    return asyncio.run(BestAnswer().iterate(state, fresh, lambda ids: []))


def test_the_largest_share_of_times_that_paid_wins_then_the_most_times_then_the_first():
    steps = game("g", ("[a]", 0.25), ("[a]", 0.0), ("[b]", 0.25), ("[c]", 0.25), ("[c]", 0.25), ("[d]", 0.0)).steps
    assert most_paying(steps) == Tried("[c]", 2, 2)
    assert most_paying(steps[:3]) == Tried("[b]", 1, 1)
    assert most_paying(game("g", ("[b]", 1.0), ("[a]", 1.0)).steps) == Tried("[b]", 1, 1)
    assert most_paying(game("g", ("[a]", 0.0)).steps) is None


def test_what_paid_takes_the_place_of_the_least_and_then_of_itself():
    state = BestAnswer().begin(seed_pool(1))
    first, events = learned(state, [game("g0", ("[a]", 0.0), ("[b]", 0.25))])
    [note] = first.pool.each()
    assert (note.name, note.procedure) == (NAME, "Answer [b]: it paid 1 of the 1 times it was given.")
    assert [event.skill for event in events if isinstance(event, Pruned)] == list(state.pool.ids)
    [admitted] = [event for event in events if isinstance(event, Admitted)]
    assert admitted.trajectories == ("g0",)

    second, events = learned(first, [game("g1", ("[a]", 0.25), ("[a]", 0.25), ("[b]", 0.0))])
    [rewritten] = second.pool.each()
    assert rewritten.procedure == "Answer [a]: it paid 2 of the 2 times it was given."
    assert rewritten.parents == (note.id,)
    assert second.iteration == 2


def test_without_pay_or_news_the_pool_stays():
    state = BestAnswer().begin(seed_pool(2))
    assert learned(state, [game("g", ("[a]", 0.0))])[0].pool == state.pool
    again = [game("g", ("[b]", 0.25))]
    first, _ = learned(state, again)
    second, events = learned(first, again)
    assert second.pool == first.pool
    assert not [event for event in events if isinstance(event, Admitted | Pruned)]
