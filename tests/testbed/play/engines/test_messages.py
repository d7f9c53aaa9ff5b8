"""What crosses to another process and back is what it was."""

from __future__ import annotations

import pytest

from agents.models.adapters.metered import Account, Charge
from agents.models.model import ModelError, ModelMisconfigured, ModelUnavailable, PromptTooLong
from agents.selection import Value
from environments.games.game import GameError
from environments.games.watchdog import TooLate
from testbed.play.engines.messages import Failure, Played, SentMemory, read_memory
from testbed.play.players import STATE_ONLY, HeldMemory
from testbed.records.trial import one_line
from tests.support.lessons import learn
from transfer.memories.kinds import MEMORIES
from transfer.memory.controls import RandomUnits
from transfer.memory.memory import Unit
from transfer.memory.seed_pool import seed_pool


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (ModelUnavailable("gone"), {ModelError, ModelUnavailable}),
        (ModelMisconfigured("a key"), {ModelError, ModelMisconfigured}),
        (PromptTooLong("9 tokens"), {ModelError}),
        (TooLate("after 60 s"), {GameError}),
        (KeyError("x"), set()),
        (RuntimeError("half a \ud800 character"), set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_told_and_judged_alike(error, kinds):
    error.add_note("player_1")
    there = Failure.of(error).model_dump_json()
    back = Failure.model_validate_json(there).error()
    assert one_line(back) == one_line(error)
    assert back.__notes__ == ["player_1"]
    assert {
        kind for kind in (ModelError, ModelUnavailable, ModelMisconfigured, GameError) if isinstance(back, kind)
    } == (kinds)


def received(held: HeldMemory) -> HeldMemory:
    assert held.memory is not None
    sent = SentMemory.of(held, held.memory.dumps())
    return sent.received(read_memory(sent.text, held.memory.digest))


def test_a_pool_arrives_with_its_values():
    held = HeldMemory(seed_pool(4), {"skill": Value(0.1 + 0.2, 3)})
    assert received(held) == held


def test_no_memory_arrives_as_none():
    assert SentMemory.of(STATE_ONLY, None).received(None) == STATE_ONLY


@pytest.mark.parametrize("name", MEMORIES)
def test_every_memory_arrives_and_so_does_its_control(name):
    memory = learn(name).memory
    assert received(HeldMemory(memory)) == HeldMemory(memory)
    control = received(HeldMemory(RandomUnits(memory))).memory
    assert isinstance(control, RandomUnits)
    assert control == RandomUnits(memory)


def test_units_arrive():
    memory = learn("rag").memory.holding([Unit(kind="rule", text="Ask."), Unit(kind="rule", text="Answer. \u2028")])
    assert received(HeldMemory(memory)).memory == memory


def test_what_models_were_asked_arrives():
    charge = Charge("a", "a model", "act", Account(3, 400, 50, cached_tokens=390, seconds=1.25))
    assert Played.model_validate_json(Played(charges=(charge,)).model_dump_json()).charges == (charge,)
