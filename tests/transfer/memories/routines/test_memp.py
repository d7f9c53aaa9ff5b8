"""Memp's known truths. Episodes, evolver and embedder are fakes."""

import pytest

from tests.support.lessons import learn
from tests.transfer.memories.routines.fakes import Directions, Learning, Told, episode, recall
from transfer.nppo.config import ChoiceError

ADVICE = {"workflow": "Begin with a."}
MENDED = {"analysis": "It was b.", "workflow": "Begin with b."}


def learning(**choices) -> Learning:
    return Learning("memp", Told(Workflow=ADVICE, Adjustment=MENDED), **choices)


def test_a_success_is_written_and_shown_where_the_same_task_begins():
    run = learning().learn(episode("one", opening="A red door."), episode("lost", False, opening="A blue door."))
    assert len(run.evolver.asked("Workflow")) == 1
    assert "[a]" in run.evolver.asked("Workflow")[0]
    assert "Begin with a." in recall(run.memory, "A red door.").text
    assert recall(run.memory, "Something else entirely, 12 34.").units == ()


@pytest.mark.parametrize(("wins", "left"), [(1, 0), (2, 1)])
def test_three_hits_with_one_success_are_its_end_and_with_two_are_not(wins, left):
    run = learning(update="validation").learn(episode("one"))
    (unit,) = run.memory.units
    run.learn(*(episode(f"later{n}", n < wins, opening="Elsewhere.", units=[unit.id]) for n in range(3)))
    assert sum(each.id == unit.id for each in run.memory.units) == left
    assert ("dropped" in run.happened) == (left == 0)


def test_a_failure_rewrites_exactly_the_workflow_that_was_shown_and_keeps_its_hits():
    evolver = Told(Workflow=[{"workflow": "One."}, {"workflow": "Two."}], Adjustment=MENDED)
    run = Learning("memp", evolver).learn(episode("one", opening="Red."), episode("two", opening="Blue."))
    red, blue = run.memory.units
    run.learn(episode("lost", False, opening="Blue.", units=[blue.id, red.id]))
    first, second = run.memory.units
    assert first == red
    assert "Begin with b." in second.text
    assert "Two." not in second.text
    assert second.parents == (blue.id,)
    assert run.memory.entries[second.id].hits == 1
    assert "Two." in evolver.asked("Adjustment")[0]


def test_the_second_failure_of_a_batch_finds_the_workflow_mended_and_leaves_it():
    run = learning().learn(episode("one"))
    (unit,) = run.memory.units
    run.learn(*(episode(f"lost{n}", False, units=[unit.id]) for n in range(2)))
    assert len(run.evolver.asked("Adjustment")) == 1


def test_a_mended_workflow_keeps_the_episode_beside_it_even_where_the_task_says_the_same_words():
    run = Learning("memp", Told(Workflow={"workflow": "Red."}, Adjustment=MENDED), form="both")
    run.learn(episode("one", opening="Red."))
    (unit,) = run.memory.units
    run.learn(episode("lost", False, opening="Red.", units=[unit.id]))
    (mended,) = run.memory.units
    assert mended.text == unit.text.replace("this: Red.\nRed.\n", "this: Red.\nBegin with b.\n")


@pytest.mark.parametrize(("repeated", "count"), [("skip", 1), ("keep", 2)])
def test_the_same_task_is_written_once_unless_repeats_are_kept(repeated, count):
    evolver = Told(Workflow=[{"workflow": "One."}, {"workflow": "Two."}])
    run = Learning("memp", evolver, repeated=repeated).learn(episode("one"), episode("two"))
    assert len(run.memory.units) == len(evolver.requests) == count


def test_the_threshold_is_a_squared_distance():
    run = learning().learn(episode("one", opening="north"))
    near, far = (Directions({"north": 0.0, "asked": degrees}) for degrees in (41.0, 42.0))
    assert recall(run.memory, "asked", near).units  # cos 41° = .755: distance .49
    assert not recall(run.memory, "asked", far).units  # cos 42° = .743: distance .51


def test_events_are_listed_and_the_ones_that_mattered_are_kept():
    events = [{"before": "?", "action": move, "after": "!"} for move in ("look", "open", "sleep")]
    evolver = Told(Happenings={"events": events}, Critical=[{"events": [2, 9]}, {"events": [9]}])
    run = Learning("memp", evolver, build="round").learn(
        episode("one", opening="Red."), episode("two", opening="Blue.")
    )
    (unit,) = run.memory.units
    assert unit.text.endswith("\n1. open")
    assert run.happened == ["written", "skipped"]


def test_key_facts_are_compared_by_their_mean_direction():
    evolver = Told(Workflow=ADVICE, KeyFacts={"facts": ["door", "key"]})
    run = Learning("memp", evolver, key="facts").learn(episode("one", opening="A door and a key."))
    assert run.memory.units[0].key == "door\nkey"
    reader = Told(KeyFacts={"facts": ["lamp"]})
    between, aside = (Directions({"door": 0.0, "key": 60.0, "lamp": degrees}) for degrees in (30.0, 90.0))
    assert recall(run.memory, "A lamp.", between, reader).units
    assert len(reader.requests) == 1
    assert not recall(run.memory, "A lamp.", aside, reader).units


def test_a_full_memory_says_so_and_the_episode_alone_is_written_without_a_call():
    run = learning(form="trajectory", capacity=1).learn(episode("one", opening="Red."), episode("two", opening="Blue."))
    assert run.happened == ["written", "skipped"]
    assert "Move: [a]" in run.memory.units[0].text
    assert run.evolver.requests == []


def test_a_mending_that_is_nonsense_leaves_the_workflow():
    run = Learning("memp", Told(Workflow=ADVICE)).learn(episode("one"))
    (unit,) = run.memory.units
    run.learn(episode("lost", False, units=[unit.id]))
    assert run.memory.units == (unit,)
    assert run.happened == ["written", "skipped"]


def test_an_unknown_choice_is_refused():
    with pytest.raises(ChoiceError, match="did you mean 'distance'"):
        learn("memp", choices={"distanse": 1})
