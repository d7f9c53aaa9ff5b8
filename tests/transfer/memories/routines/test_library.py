"""The skill library's known truths. Episodes, evolver and embedder are fakes."""

from collections.abc import Callable

import pytest

from tests.support.lessons import replay
from tests.transfer.memories.routines.fakes import Learning, Told, episode, recall
from transfer.memories.kinds import MEMORIES
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory


def skill(name: str, step: str = "Look.") -> dict[str, object]:
    return {"name": name, "when": f"There is {name}.", "steps": [step]}


CRITIC = {"reasoning": "Close.", "success": False, "critique": "Take the key first."}


def never(memory: Memory | None, env_seed: int, number: int) -> Trajectory:
    return episode(f"again{number}", False, seed=env_seed)


def third_time(memory: Memory | None, env_seed: int, number: int) -> Trajectory:
    return episode(f"again{number}", number == 2, seed=env_seed)


def learning(answer: Callable[..., Trajectory] = never, evolver: Told | None = None, **choices):
    play, asked = replay(answer)
    return Learning("library", evolver or Told(Routine=skill("open_door"), Verdict=CRITIC), play, **choices), asked


def test_a_failure_stores_nothing():
    run, asked = learning()
    run.learn(episode("lost", False, seed=4))
    assert run.memory.units == ()
    assert [seed for _, seed in asked] == [4, 4, 4]
    assert len(run.evolver.asked("Verdict")) == 3, "nobody reads a critique of the last attempt"


def test_a_critique_stands_in_the_next_attempt_of_that_game_alone_and_success_ends_them():
    run, asked = learning(third_time)
    run.learn(episode("lost", False, seed=4))
    assert len(asked) == 2
    (memory, _), *_ = asked
    assert memory is not None
    assert recall(memory, playing=4).text == "Your last attempt at this game failed: Take the key first."
    assert recall(memory, playing=6).text == ""
    (unit,) = run.memory.units
    assert unit.env_seeds == (4,)
    assert run.memory.feedback == {}
    assert "Take the key" not in recall(run.memory, playing=4).text


def test_the_same_name_twice_is_one_skill_with_the_later_words():
    evolver = Told(Routine=[skill("door", "Knock."), skill(" Door", "Push.")])
    run, _ = learning(evolver=evolver)
    run.learn(episode("one"))
    (old,) = run.memory.units
    run.learn(episode("two"))
    (unit,) = run.memory.units
    assert "Push." in unit.text
    assert unit.parents == (old.id,)
    assert run.happened == ["written", "rewritten"]
    assert evolver.asked("Routine")[1].endswith("door")


def test_the_same_words_twice_are_one_skill_with_the_evidence_of_both():
    run, _ = learning()
    run.learn(episode("one", seed=2), episode("two", seed=4))
    (unit,) = run.memory.units
    assert unit.env_seeds == (2, 4)
    assert len(unit.trajectories) == 2


def test_of_six_skills_five_are_shown():
    evolver = Told(Routine=[skill(name) for name in ("apple", "bread", "cheese", "dates", "eggs", "figs")])
    run, _ = learning(evolver=evolver)
    run.learn(*(episode(f"e{n}") for n in range(6)))
    assert len(run.memory.units) == 6
    found = recall(run.memory, "There is bread.")
    assert len(found.units) == 5
    assert found.text.index("bread") < found.text.index("eggs")


@pytest.mark.parametrize(("signal", "written"), [("environment", 0), ("critic", 1)])
def test_who_says_that_it_succeeded(signal, written):
    evolver = Told(Routine=skill("open_door"), Verdict=CRITIC | {"success": True})
    run, asked = learning(evolver=evolver, signal=signal, attempts=2)
    run.learn(episode("lost", False))
    assert len(run.memory.units) == written
    assert bool(asked) == (not written)


def test_a_success_that_the_critic_denies_is_tried_again():
    run, asked = learning(signal="critic", attempts=2)
    run.learn(episode("won"))
    assert run.memory.units == ()
    assert len(asked) == 1
    assert len(run.evolver.asked("Verdict")) == 2


def test_an_episode_under_its_summary():
    evolver = Told(Summary={"sentences": ["A door.", "It was opened."]})
    run, _ = learning(evolver=evolver, form="episode")
    run.learn(episode("one"), episode("two", opening="Round 0!"))
    assert [unit.key for unit in run.memory.units] == ["A door. It was opened."] * 2
    assert "Move: [b]" in run.memory.units[0].text
    assert len(recall(run.memory).units) == 1


def test_without_further_attempts_shared_experience_does():
    assert MEMORIES["library"].needs_own({})
    assert not MEMORIES["library"].needs_own({"attempts": 1})


def test_nonsense_writes_nothing_and_the_attempts_go_on_without_a_critique():
    run, asked = learning(evolver=Told(), attempts=2)
    run.learn(episode("won"), episode("lost", False, seed=4))
    assert run.memory.units == ()
    assert run.happened == ["skipped", "skipped"]
    ((memory, _),) = asked
    assert memory is not None
    assert recall(memory, playing=4).text == ""
