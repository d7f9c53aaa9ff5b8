"""Reflexion: what is written after a failure, who is shown it, and what is played again. The evolver is a fake."""

from __future__ import annotations

import pytest

from tests.support.lessons import advice, episode, fake, learn, replay, said
from transfer.memories.kinds import MEMORIES
from transfer.nppo.config import ChoiceError


def numbered():
    """An evolver that writes "Plan 1.", "Plan 2.", …"""
    asked: list[str] = []

    def answer(kind: str, prompt: str) -> dict[str, str]:
        asked.append(prompt)
        return {"plan": f"Plan {len(asked)}."}

    return fake(answer), asked


def failing(memory, env_seed, number):
    return episode(f"again-{number}", "north", solved=False, seed=env_seed)


def test_a_success_writes_nothing_and_is_not_played_again():
    play, asked = replay(failing)
    learned = learn("reflexion", [episode("e", "north", solved=True)], play=play)
    assert not learned.memory.units
    assert not asked


def test_after_five_failures_the_last_three_plans_of_this_game_are_shown():
    evolver, prompts = numbered()
    play, asked = replay(failing)
    learned = learn(
        "reflexion", [episode("e", "north", solved=False, seed=4)], evolver=evolver, choices={"attempts": 5}, play=play
    )
    assert [unit.text for unit in learned.memory.units] == ["Plan 3.", "Plan 4.", "Plan 5."]
    shown = advice(learned.memory, env_seed=None, playing=4)
    assert shown.endswith("Plan 3.\n\nPlan 4.\n\nPlan 5.")
    assert advice(learned.memory, env_seed=None, playing=5) == ""
    assert [seed for _, seed in asked] == [4] * 4
    assert "Plan 1." in prompts[1]
    assert "Plan 1." not in prompts[4]
    assert "Plan 4." in prompts[4]
    assert [event.action for event in said(learned.events, "unit")] == ["written"] * 3 + ["written", "dropped"] * 2


def test_every_attempt_is_played_with_the_plans_so_far_until_the_game_is_solved():
    evolver, _ = numbered()
    play, asked = replay(lambda memory, seed, number: episode(f"r{number}", "open", solved=number == 3, seed=seed))
    batch = [episode("a", "north", solved=False, seed=1), episode("b", "north", solved=False, seed=2)]
    learned = learn("reflexion", batch, evolver=evolver, play=play)
    assert [seed for _, seed in asked[:3]] == [1, 2, 1]
    assert all(seed == 2 for _, seed in asked[3:])
    assert len(asked) == 2 + 1 + 9 - 1, "ten attempts at the game that is never solved, three at the other"
    assert [unit.text for unit in asked[0][0].units] == ["Plan 1.", "Plan 2."]
    assert advice(asked[0][0], env_seed=None, playing=2).endswith(":\n\nPlan 2.")
    assert learned.state.extra == len(asked)


def test_where_the_budget_is_spent_no_attempt_is_made():
    evolver, _ = numbered()
    learned = learn("reflexion", [episode("e", "north", solved=False)], evolver=evolver)
    assert [unit.text for unit in learned.memory.units] == ["Plan 1."]


def test_plain_retries_are_played_without_memory_and_ask_nobody():
    play, asked = replay(failing)
    learned = learn(
        "reflexion", [episode("e", "north", solved=False)], choices={"reflect": False, "attempts": 4}, play=play
    )
    assert [memory for memory, _ in asked] == [None] * 3
    assert not learned.memory.units


def test_carried_plans_go_to_every_game_of_the_task():
    evolver, prompts = numbered()
    play, asked = replay(failing)
    batch = [episode(f"e{seed}", "north", solved=False, seed=seed) for seed in range(5)]
    learned = learn("reflexion", batch, evolver=evolver, choices={"form": "carried"}, play=play)
    assert not asked
    assert advice(learned.memory, playing=77).endswith("Plan 3.\n\nPlan 4.\n\nPlan 5.")
    assert "Plan 2." in prompts[2]
    assert advice(learned.memory, env_seed=4, playing=4).endswith("Plan 3.\n\nPlan 4."), "its own game is evaluated"


def test_where_there_is_no_room_the_oldest_plan_stays_out_whole():
    evolver, _ = numbered()
    batch = [episode(f"e{seed}", "north", solved=False, seed=seed) for seed in range(3)]
    memory = learn("reflexion", batch, evolver=evolver, choices={"form": "carried"}).memory
    heading = len(["What", "you", "have", "kept", "from", "earlier", "games:"])
    assert advice(memory, room=heading + 5).endswith(":\n\nPlan 2.\n\nPlan 3.")


def test_the_same_plan_again_is_one_unit_and_the_latest():
    plans = iter(["Go north.", "Go south.", "Go north."])
    play, _ = replay(failing)
    learned = learn(
        "reflexion",
        [episode("e", "north", solved=False)],
        evolver=fake(lambda kind, prompt: {"plan": next(plans)}),
        choices={"attempts": 3},
        play=play,
    )
    assert [unit.text for unit in learned.memory.units] == ["Go south.", "Go north."]


def test_only_retries_need_episodes_of_their_own():
    assert MEMORIES["reflexion"].needs_own({})
    assert not MEMORIES["reflexion"].needs_own({"form": "carried"})
    with pytest.raises(ChoiceError, match="did you mean 'attempts'"):
        MEMORIES["reflexion"].needs_own({"attempt": 2})
