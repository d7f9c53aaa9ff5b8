"""MemRL's known truths. Episodes, evolver and embedder are fakes."""

import pytest

from tests.transfer.memories.routines.fakes import Directions, Learning, Told, episode, recall
from transfer.memories.routines.mem_rl import standardized

SCRIPT = {"steps": ["Look.", "Open."]}
REFLECTION = {"reflection": "It was b."}


def learning(**choices) -> Learning:
    return Learning("mem_rl", Told(Script=SCRIPT, Reflection=REFLECTION), **choices)


def test_every_episode_is_written_by_what_it_came_to_with_all_that_happened():
    run = learning().learn(episode("won"), episode("lost", False))
    won, lost = run.memory.units
    assert (won.kind, lost.kind) == ("script", "reflection")
    assert won.text.startswith("1. Look.\n2. Open.\nAn earlier game")
    assert lost.text.startswith("It was b.\nAn earlier game")
    assert "Move: [b]" in won.text
    text = recall(run.memory).text
    assert text.index("What worked") < text.index("2. Open.") < text.index("What failed") < text.index("It was b.")


def test_utility_follows_the_rewards():
    run = learning().learn(episode("won"))
    (unit, *_) = run.memory.units
    for reward, expected in ((True, 0.3), (True, 0.51), (False, 0.057)):
        run.learn(episode(f"later {expected}", reward, units=[unit.id]))
        assert run.memory.utilities == {unit.id: pytest.approx(expected)}
        voted = [event.value for event in run.events if getattr(event, "action", "") == "voted"]
        assert voted[-1] == pytest.approx(expected)


def test_one_batch_is_the_same_as_its_episodes_one_by_one():
    run = learning().learn(episode("won"))
    (unit,) = run.memory.units
    run.learn(*(episode(f"later{n}", won, units=[unit.id]) for n, won in enumerate((True, True, False))))
    assert run.memory.utilities == {unit.id: pytest.approx(0.057)}


def test_of_equally_like_tasks_the_higher_utility_comes_first():
    run = learning(k=1).learn(episode("won"), episode("lost", False))
    won, lost = run.memory.units
    assert recall(run.memory).units == (lost.id,), "nothing is known: the latest"
    run.learn(episode("later", True, units=[won.id], opening="Elsewhere."))
    assert recall(run.memory).units == (won.id,)
    run.learn(episode("still later", False, units=[won.id], opening="Elsewhere."))
    run.learn(episode("at last", False, units=[won.id], opening="Elsewhere."))
    assert recall(run.memory).units == (lost.id,), "−.237 is less than the 0 of the one that was never shown"


def test_a_task_that_is_much_liker_beats_a_higher_utility():
    where = Directions({"near": 0.0, "far": 55.0, "asked": 10.0})
    run = learning(k=1).learn(episode("one", opening="near"), episode("two", opening="far"))
    near, far = run.memory.units
    run.learn(episode("later", True, units=[far.id], opening="Elsewhere."))
    assert recall(run.memory, "asked", where).units == (near.id,)
    # cos 10° - cos 45° is .278, 2.3 spreads of likeness; the two utilities are 2 spreads apart.
    choices = run.memory.choices.model_copy(update={"weight": 0.6})
    assert recall(run.memory.model_copy(update={"choices": choices}), "asked", where).units == (far.id,)


def test_too_unlike_tasks_and_too_low_utilities_are_not_recalled():
    where = Directions({"north": 0.0, "asked": 61.0})
    run = learning(least=-0.5).learn(episode("one", opening="north"))
    (unit,) = run.memory.units
    assert not recall(run.memory, "asked", where).units
    assert recall(run.memory, "north", where).units
    run.learn(episode("later", False, units=[unit.id], opening="Elsewhere."))
    assert recall(run.memory, "north", where).units, "-.3"
    run.learn(episode("still later", False, units=[unit.id], opening="Elsewhere."))
    assert not recall(run.memory, "north", where).units, "-.51"


def test_tasks_as_good_as_equal_are_one():
    where = Directions({"one": 0.0, "other": 20.0, "third": 60.0})
    run = Learning("mem_rl", Told(Script=SCRIPT), embedder=where)
    run.learn(episode("a", opening="one"), episode("b", opening="other"), episode("c", opening="third"))
    assert [unit.key for unit in run.memory.units] == ["one", "one", "third"]


def test_only_so_many_tasks_are_candidates():
    where = Directions({"one": 0.0, "two": 30.0, "asked": 5.0})
    run = Learning("mem_rl", Told(Script=SCRIPT), embedder=where, intents=1)
    run.learn(episode("a", opening="one"), episode("b", opening="two"))
    assert len(recall(run.memory, "asked", where).units) == 1


def test_standard_scores_are_clipped_and_nothing_where_all_are_equal():
    assert standardized([0.2, 0.2]) == [0.0, 0.0]
    assert standardized([1.0]) == [0.0]
    assert max(standardized([0.0] * 19 + [1.0])) == 3.0
    assert standardized([0.0, 1.0]) == [-1.0, 1.0]


def test_nonsense_writes_nothing():
    run = Learning("mem_rl", Told()).learn(episode("won"), episode("lost", False))
    assert run.memory.units == ()
    assert run.happened == ["skipped", "skipped"]
