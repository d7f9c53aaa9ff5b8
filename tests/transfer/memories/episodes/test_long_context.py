"""Long context: whole episodes while there is room, and the episode's own turns all stay in the prompt."""

from __future__ import annotations

from dataclasses import replace

import anyio
import numpy as np
import pytest

from agents.agent import SkillAgent
from agents.decision import Observation
from agents.embedding import LexicalEmbedder
from agents.guide import State
from agents.models.model import Completion, Request
from agents.models.tokens.context import fit
from tests.support.fake_evolver import FakeModel
from tests.support.lessons import RULES, advice, episode, learn, said, seat
from transfer.memories.kinds import MEMORIES
from transfer.memories.lessons import Means
from transfer.memory.controls import shuffle_units
from transfer.memory.memory import Room
from transfer.memory.pool import SkillPool

SIGHT = "A hall with many doors and a clock."
HORIZON = 5
ANSWER = 10


class Narrow(FakeModel):
    """A fake that leaves the oldest turns out where the conversation is longer than its context, as real ones do."""

    def __init__(self, context: int) -> None:
        super().__init__(lambda request: "north", name="narrow")
        self._context = context

    @property
    def card(self):
        return replace(super().card, context=self._context)

    async def generate(self, request: Request) -> Completion:
        async def size(messages):
            return sum(self.count(message.content) for message in messages)

        fitted = await fit(request.messages, self._context - request.sampling.max_tokens, size)
        answer = await super().generate(request)
        return replace(answer, dropped_turns=fitted.dropped)


def games(count: int, first: int = 0):
    return [
        episode(f"{number:02}", "north", f"take key {number}", solved=number % 2 == 1, seed=number, sight=SIGHT)
        for number in range(first, first + count)
    ]


def no_recall(id: str):
    raise KeyError(id)


def numbers(text: str) -> list[int]:
    return [
        int(line.removeprefix("Move: take key ")) for line in text.splitlines() if "take key" in line and "Move" in line
    ]


def test_all_are_shown_from_the_oldest_to_the_newest():
    memory = learn("long_context", games(3), games(3, first=3)).memory
    assert numbers(advice(memory)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_budget_for_so_many_episodes_leaves_the_next_one_out_whole(count):
    memory = learn("long_context", games(5)).memory
    model = FakeModel(name="actor")
    exact = model.count(memory.words(memory.units[5 - count :]))
    for room, shown in ((exact, count), (exact - 1, max(0, count - 1))):
        recalled = anyio.run(memory.recall, seat(model, room=room), State(RULES, (), SIGHT))
        assert numbers(recalled.text) == list(range(5 - shown, 5))
        assert recalled.left_out == 5 - shown
        assert recalled.units == tuple(unit.id for unit in reversed(memory.units[5 - shown :]))


def test_the_best_come_first_where_the_study_says_so():
    memory = learn("long_context", games(6), choices={"order": "best"}).memory
    model = FakeModel(name="actor")
    room = model.count(memory.words(memory.units[:3]))
    assert numbers(advice(memory, model=model, room=room)) == [1, 3, 5]


def test_other_words_in_their_places_are_chosen_as_they_were():
    memory = learn("long_context", games(6), choices={"order": "best"}).memory
    others = learn("long_context", games(6, first=10)).memory
    shuffled = shuffle_units(memory, [others])
    assert shuffled is not None
    model = FakeModel(name="actor")
    room = model.count(memory.words(memory.units[:3]))
    recalled = anyio.run(shuffled.recall, seat(model, room=room), State(RULES, (), SIGHT))
    assert recalled.units == tuple(shuffled.units[place].id for place in (5, 3, 1))


def test_successes_alone_where_the_study_says_so():
    memory = learn("long_context", games(4), choices={"keep": "successes"}).memory
    assert numbers(advice(memory)) == [1, 3]


@pytest.mark.parametrize("context", [300, 400, 500])
def test_no_turn_is_dropped_to_the_horizon(context):
    """As many games as a context has room for; the later observations are longer than the first one."""
    model = Narrow(context)
    memory = learn("long_context", games(40)).memory
    steps = anyio.run(_played, memory, model)
    assert [step.dropped_turns for step in steps] == [0] * HORIZON
    assert 0 < len(steps[0].units) < 40
    assert steps[0].left_out == 40 - len(steps[0].units)
    assert [step.started for step in steps] == [True] + [False] * (HORIZON - 1)
    used = steps[0].memory_tokens
    spare = context - ANSWER - model.count(RULES) - used - HORIZON * (24 + model.count(_longest()))
    assert 0 <= spare < model.count(memory.units[0].text), "one more would have fitted"


def test_what_the_context_can_never_hold_goes_into_the_archive():
    actor = Narrow(4 * FakeModel().count(learn("long_context", games(1)).memory.units[0].text))
    means = Means(actor, FakeModel(), LexicalEmbedder(), np.random.SeedSequence(0))
    learner = MEMORIES["long_context"].make(means, {})
    state, events = anyio.run(learner.iterate, learner.begin(SkillPool()), games(6), no_recall)
    assert numbers(advice(state.memory)) == [2, 3, 4, 5]
    assert state.memory.archive == ("00/player_0", "01/player_0")
    assert [event.action for event in said(events, "unit")] == ["written"] * 6 + ["dropped"] * 2


def test_the_same_words_again_are_one_unit_with_both_games():
    again = [game.model_copy(update={"id": f"again-{game.id}", "env_seed": 77}) for game in games(1)]
    memory = learn("long_context", games(2), again).memory
    assert numbers(advice(memory)) == [1, 0]
    assert memory.units[-1].env_seeds == (0, 77)
    assert memory.units[-1].trajectories == ("00/player_0", "again-00/player_0")


def _longest() -> str:
    return f"{SIGHT} After north."


async def _played(memory, model):
    at = replace(seat(model), room=Room(model, HORIZON, ANSWER))
    sampling = replace(Request(()).sampling, max_tokens=ANSWER)
    agent = SkillAgent("p", model, memory.guide(at), np.random.default_rng(1), sampling=sampling)
    sights = [SIGHT, *[_longest()] * (HORIZON - 1)]
    return [await agent.decide(Observation(text=sight, rules=RULES)) for sight in sights]
