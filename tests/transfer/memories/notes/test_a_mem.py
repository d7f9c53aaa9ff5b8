"""A-MEM: what a note holds, how notes evolve by number, how they are found. Evolver and reader are fakes."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from agents.guide import State
from tests.support.fake_evolver import FakeModel, kind_of
from tests.support.lessons import RULES, episode, fake, learn, said, seat
from transfer.memories.notes.network import AMem
from transfer.memory.controls import RandomUnits
from transfer.memory.pool import PoolError
from transfer.registry import load_memory

STILL = {"should_evolve": False, "actions": [], "connections": [], "tags": [], "neighbors": []}
SIGHTS = {"1": "A cellar with barrels.", "2": "A garden with roses.", "3": "A tower with bells."}


def scene(id: str, solved: bool = True, **about: Any):
    return episode(id, "look", f"leave {id}", solved=solved, seed=int(id), sight=SIGHTS.get(id, "A hall."), **about)


class Writer:
    """Describes each note by its number; `evolutions` are its answers to the second question, in order."""

    def __init__(self, *evolutions: dict[str, Any]) -> None:
        self._evolutions = iter(evolutions)
        self.analysed = 0
        self.prompts: list[str] = []
        self.model = fake(self._answer)

    def _answer(self, kind: str, prompt: str) -> Any:
        if kind == "Analysis":
            self.analysed += 1
            return {"keywords": [f"word{self.analysed}"], "context": f"Context {self.analysed}.", "tags": ["first"]}
        assert kind == "Evolution"
        self.prompts.append(prompt)
        return next(self._evolutions, STILL)


def evolve(*actions: str, connections=(), tags=(), neighbors=()) -> dict[str, Any]:
    return {
        "should_evolve": True,
        "actions": list(actions),
        "connections": list(connections),
        "tags": list(tags),
        "neighbors": [{"number": number, "context": context, "tags": tags} for number, context, tags in neighbors],
    }


def found(memory: AMem, sight: str, **about: Any) -> list[str]:
    """Contexts of the notes recalled, in order."""
    recalled = anyio.run(memory.recall, seat(**about), State(RULES, (), sight))
    contexts = {unit.id: note.context for unit, note in zip(memory.units, memory.notes, strict=True)}
    return [contexts[id] for id in recalled.units]


SEEN = {"query": "observation"}


def test_a_note_is_described_and_its_neighbours_are_shown_by_number():
    writer = Writer()
    memory = learn("a_mem", [scene("1"), scene("2"), scene("3", solved=False)], evolver=writer.model).memory
    assert [note.context for note in memory.notes] == ["Context 1.", "Context 2.", "Context 3."]
    assert all("Move: look" in note.content for note in memory.notes)
    assert len(writer.model.requests) == 5, "two calls a note, but one for the first, which has no neighbours"
    assert {request.sampling.temperature for request in writer.model.requests} == {0.7}
    assert "Note 1:" in writer.prompts[1]
    assert "Note 2:" in writer.prompts[1]
    assert "Note 3:" not in writer.prompts[1]


def test_to_update_neighbour_2_changes_that_note_and_no_other():
    before = learn("a_mem", [scene("1"), scene("2"), scene("3")], evolver=Writer().model)
    update = evolve("update_neighbor", neighbors=[(2, "Roses have thorns.", ["thorn"])])
    after = learn("a_mem", [scene("4")], evolver=Writer(update).model, start=before.state)
    old, new = before.memory, after.memory
    assert [unit.id for unit in new.units[:3]] != [unit.id for unit in old.units]
    assert (new.units[0], new.units[2]) == (old.units[0], old.units[2])
    assert new.units[1].parents == (old.units[1].id,)
    assert new.units[1].env_seeds == old.units[1].env_seeds
    assert (new.notes[1].context, new.notes[1].tags) == ("Roses have thorns.", ("thorn",))
    assert new.notes[1].keywords == old.notes[1].keywords
    assert [event.action for event in said(after.events, "unit")] == ["rewritten", "written"]


@pytest.mark.parametrize("threshold", [1, 100])
def test_what_only_the_new_tags_answer_finds_it_at_once(threshold):
    """Not so with the official code's threshold: it keeps what was embedded before."""
    update = evolve("update_neighbor", neighbors=[(2, "Roses have thorns.", ["hedgehog quarrel"])])
    choices = SEEN | {"k": 1, "evo_threshold": threshold}
    memory = learn("a_mem", [scene("1"), scene("2"), scene("3")], evolver=Writer(STILL, update).model, choices=choices)
    assert (found(memory.memory, "hedgehog quarrel") == ["Roses have thorns."]) == (threshold == 1)
    assert "hedgehog quarrel" in memory.memory.units[1].text, "the note says so in any case"


def test_a_linked_note_comes_along_after_those_that_were_found():
    strengthen = evolve("strengthen", connections=[1], tags=["both"])
    memory = learn(
        "a_mem",
        [scene("1"), scene("2"), scene("3")],
        evolver=Writer(STILL, strengthen).model,
        choices=SEEN | {"k": 1},
    ).memory
    assert memory.notes[2].links == (0,)
    assert memory.notes[2].tags == ("both",)
    assert found(memory, SIGHTS["3"]) == ["Context 3.", "Context 1."]
    assert found(memory, SIGHTS["1"]) == ["Context 1."], "links go one way"
    assert found(memory, SIGHTS["3"], env_seed=1) == ["Context 3."], "not where its own game is evaluated"


def test_no_more_linked_notes_than_found_ones():
    strengthen = evolve("strengthen", connections=[1, 2, 3])
    memory = learn(
        "a_mem",
        [scene(str(number)) for number in range(1, 5)],
        evolver=Writer(STILL, STILL, strengthen).model,
        choices=SEEN | {"k": 1},
    ).memory
    assert found(memory, "A hall.") == ["Context 4.", "Context 1."]


def test_a_number_that_is_no_neighbours_is_passed_over_and_said():
    strengthen = evolve("strengthen", "update_neighbor", connections=[7, 1, 0], neighbors=[(9, "Nonsense.", [])])
    after = learn("a_mem", [scene("1"), scene("2")], evolver=Writer(strengthen).model)
    assert after.memory.notes[1].links == (0,)
    assert [note.context for note in after.memory.notes] == ["Context 1.", "Context 2."]
    assert "[7, 0, 9]" in said(after.events, "skipped")[0].why


def test_a_useless_description_leaves_no_note_and_a_useless_evolution_a_note_by_itself():
    def answer(kind: str, prompt: str) -> Any:
        if kind == "Evolution" or "barrels" in prompt:
            return "nonsense"
        return {"keywords": ["w"], "context": "Fine.", "tags": []}

    after = learn("a_mem", [scene("1"), scene("2"), scene("3")], evolver=fake(answer))
    assert [note.content.count("roses") > 0 for note in after.memory.notes] == [True, False]
    assert [note.links for note in after.memory.notes] == [(), ()]
    assert [event.trajectories for event in said(after.events, "skipped")] == [("1/player_0",), ("3/player_0",)]


def test_the_same_scene_again_is_no_new_note():
    before = learn("a_mem", [scene("1")], evolver=Writer().model)
    again = scene("1").model_copy(update={"id": "9/player_0", "env_seed": 9})
    after = learn("a_mem", [again], start=before.state)
    assert len(after.memory.notes) == 1
    assert after.memory.units[0].env_seeds == (1, 9)


def test_a_note_a_step_looked_up_at_each_step():
    choices = SEEN | {"note": "step", "recall": "step", "k": 1}
    memory = learn("a_mem", [scene("1"), scene("2")], evolver=Writer().model, choices=choices).memory
    assert [unit.trajectories[0][0] for unit in memory.units] == ["1", "1", "2", "2"]
    assert memory.notes[0].content.splitlines()[0] == f"Seen: {SIGHTS['1']}"
    guide = memory.guide(seat())

    async def two_decisions():
        return [(await guide.guide(State(RULES, (), sight))).text for sight in (SIGHTS["1"], SIGHTS["2"])]

    first, second = anyio.run(two_decisions)
    assert "barrels" in first
    assert "roses" in second


@pytest.mark.parametrize(("recall", "events"), [("start", [True, False]), ("step", [True, True])])
def test_random_units_come_as_often_as_chosen_ones(recall, events):
    choices = SEEN | {"recall": recall, "k": 1}
    memory = learn("a_mem", [scene("1"), scene("2")], evolver=Writer().model, choices=choices).memory
    guide = RandomUnits(memory).guide(seat())

    async def two_decisions():
        return [(await guide.guide(State(RULES, (), SIGHTS["1"]))).started for _ in range(2)]

    assert anyio.run(two_decisions) == events


@pytest.mark.parametrize("answer", ["keywords", "nonsense"])
def test_the_actor_writes_what_to_look_for(answer):
    """One call a recall; where its answer is of no use, what is seen is looked for."""
    memory = learn("a_mem", [scene("1"), scene("2")], evolver=Writer().model, choices={"k": 1}).memory

    def reply(request):
        assert kind_of(request) == "Query"
        return json.dumps({"keywords": ["word2"]}) if answer == "keywords" else "Let me think."

    actor = FakeModel(reply)
    assert found(memory, SIGHTS["1"], model=actor) == ["Context 2." if answer == "keywords" else "Context 1."]
    assert len(actor.requests) == (1 if answer == "keywords" else 2)


def test_a_file_with_a_link_to_nowhere_is_refused():
    memory = learn("a_mem", [scene("1")], evolver=Writer().model).memory
    astray = memory.model_copy(update={"notes": (memory.notes[0].model_copy(update={"links": (5,)}),)})
    with pytest.raises(PoolError, match="a link to neither"):
        load_memory(astray.dumps(), "a.json")
