"""Dynamic Cheatsheet: what the curator is shown, what becomes of its sheet. The curator is a fake, as is the player."""

from __future__ import annotations

import json

import anyio
import pytest

from agents.guide import State
from tests.support.fake_evolver import FakeModel
from tests.support.lessons import RULES, advice, episode, fake, learn, said, seat

DOOR, GATE = "A cellar with a red door.", "A garden with a blue gate."
RS = {"form": "retrieval-synthesis"}


def sheet(*entries: str, example: str = "") -> dict:
    """Entries as "words", or "words*count"."""
    split = [entry.split("*") for entry in entries]
    return {
        "entries": [
            {"description": words, "example": example, "count": int(count[0]) if count else 0}
            for words, *count in split
        ]
    }


def test_each_episode_makes_a_whole_new_sheet_of_the_old_one():
    prompts, answers = list[str](), iter([sheet("Open doors.*1", "Be quick."), sheet("Open doors.*2", "Take keys.")])

    def answer(kind, prompt):
        prompts.append(prompt)
        return next(answers)

    batch = [episode("a", "north", solved=False, seed=1), episode("b", "open", solved=True, seed=2)]
    learned = learn("cheatsheet", batch, evolver=fake(answer))
    assert "(empty)" in prompts[0]
    assert "- Open doors. (count: 1)\n- Be quick. (count: 0)" in prompts[1]
    assert "Move 1: open" in prompts[1]
    doors, keys = learned.memory.units
    assert (doors.text, doors.env_seeds, learned.memory.counts[doors.id]) == ("Open doors.", (1,), 2)
    assert (keys.text, keys.env_seeds) == ("Take keys.", (1, 2)), "it may come from what it replaced"
    assert [event.action for event in said(learned.events, "unit")] == ["written"] * 2 + ["voted", "written", "dropped"]
    assert advice(learned.memory).endswith(":\n\nOpen doors.\n\nTake keys.")


def test_the_curator_is_told_no_outcome_unless_it_is_chosen():
    prompts: list[str] = []

    def answer(kind, prompt):
        prompts.append(prompt)
        return sheet("One.")

    batch = [episode("a", "open", solved=True)]
    learn("cheatsheet", batch, evolver=fake(answer))
    learn("cheatsheet", batch, evolver=fake(answer), choices={"signal": "return"})
    assert "paid" not in prompts[0]
    assert "success" not in prompts[0]
    assert "paid 1" in prompts[1]
    assert "It counts as a success." in prompts[1]


@pytest.mark.parametrize("cut", ['{"entries": [{"description": "Open doo', "<cheatsheet>Open doors.", ""])
def test_a_sheet_that_is_cut_or_missing_leaves_the_old_one(cut):
    first = learn("cheatsheet", [episode("a", "open", solved=True)], evolver=fake(lambda kind, prompt: sheet("One.")))
    second = learn(
        "cheatsheet",
        [episode("b", "open", solved=True, seed=1)],
        evolver=fake(lambda kind, prompt: cut),
        start=first.state,
    )
    assert second.memory == first.memory
    assert len(said(second.events, "skipped")) == 1


def test_the_same_entry_twice_is_one():
    batch = [episode("a", "open", solved=True)]
    memory = learn(
        "cheatsheet", batch, evolver=fake(lambda kind, prompt: sheet("One.*1", "One.*3", example="E."))
    ).memory
    assert [unit.text for unit in memory.units] == ["One.\nExample: E."]


def stored(*answers: dict):
    """Retrieval-synthesis after four episodes; and what its curator was asked."""
    prompts, left = list[str](), list(answers)

    def answer(kind, prompt):
        prompts.append(prompt)
        return left.pop(0)

    sights = (DOOR, GATE, DOOR, DOOR)
    batch = [episode(str(seed), f"move{seed}", solved=True, seed=seed, sight=s) for seed, s in enumerate(sights)]
    return learn("cheatsheet", batch, evolver=fake(answer), choices=RS | {"k": 2}).memory, prompts


def test_a_synthesis_sees_the_likest_earlier_episodes_before_the_episode():
    memory, prompts = stored(sheet("One."), sheet("One.", "Two."), sheet("Two."))
    assert len(prompts) == 3, "before the first episode there is nothing to make a sheet of"
    assert [f"move{seed}" in prompts[2] for seed in range(4)] == [True, False, True, False]
    assert [unit.text for unit in memory.units if unit.kind == "entry"] == ["Two."]
    assert sum(unit.kind == "episode" for unit in memory.units) == 4


def read(memory, answer: str, **about):
    model = FakeModel(lambda request: answer)
    recalled = anyio.run(memory.recall, seat(model, **about), State(RULES, (), DOOR))
    return recalled, model.requests


def test_before_an_evaluated_game_a_sheet_is_made_for_it_alone():
    memory, _ = stored(*[sheet("Stored.")] * 3)
    digest = memory.digest
    recalled, (request,) = read(memory, json.dumps(sheet("Made.")))
    assert recalled.text.endswith(":\n\nMade.")
    assert "- Stored. (count: 0)" in request.messages[1].content
    assert [f"move{seed}" in request.messages[1].content for seed in range(4)] == [False, False, True, True]
    shown = [unit for unit in memory.units if unit.id in recalled.units]
    assert [unit.kind for unit in shown] == ["entry", "episode", "episode"]
    assert memory.digest == digest


def test_a_synthesis_of_no_use_or_without_room_leaves_the_sheet_as_it_is():
    memory, _ = stored(*[sheet("Stored.")] * 3)
    recalled, requests = read(memory, "Nothing.")
    assert recalled.text.endswith(":\n\nStored.")
    assert len(requests) == 2
    assert [unit.text for unit in memory.units if unit.id in recalled.units] == ["Stored."]
    recalled, _ = read(memory, json.dumps(sheet("Made " * 50)), room=20)
    assert recalled.text.endswith(":\n\nStored.")


def test_the_game_that_is_evaluated_is_not_among_the_episodes():
    memory, _ = stored(*[sheet("Stored.")] * 3)
    _, (request,) = read(memory, json.dumps(sheet("Made.")), env_seed=3)
    assert "move3" not in request.messages[1].content
