"""ExpeL: how episodes are gathered and compared, what is kept and shown. The evolver is a fake."""

from __future__ import annotations

from collections import Counter

from tests.support.lessons import advice, episode, fake, learn, replay, said
from transfer.memories.kinds import MEMORIES


def operations(*given: tuple[str, int, str]) -> dict:
    return {"operations": [{"operation": kind, "number": number, "text": text} for kind, number, text in given]}


def critic(*answers: dict):
    """Reflects in one way, criticises by `answers`, in order, then not at all; and what it was asked."""
    left, asked = list(answers), list[tuple[str, str]]()

    def answer(kind: str, prompt: str) -> dict:
        asked.append((kind, prompt))
        if kind == "Reflection":
            return {"plan": f"Plan {len(asked)}."}
        return left.pop(0) if left else operations()

    return fake(answer), asked


def solved_at(attempt: int):
    """Each game is solved at this attempt of the retries."""
    counts = Counter()

    def answer(memory, seed, number):
        counts[seed] += 1
        return episode(f"r{number}", "open", solved=counts[seed] == attempt, seed=seed, sight="Retry.")

    return replay(answer)


def test_each_failure_is_compared_with_the_success_at_the_same_game():
    evolver, asked = critic(operations(("ADD", 0, "Open doors.")), operations(("AGREE", 1, "Open doors.")))
    play, tries = solved_at(2)
    learned = learn("expel", [episode("e", "north", solved=False, seed=3)], evolver=evolver, play=play)
    assert [kind for kind, _ in asked] == ["Reflection"] * 2 + ["Critique"] * 3
    assert [seed for _, seed in tries] == [3, 3]
    assert "north" in asked[2][1]
    assert "1. Open doors." in asked[3][1]
    assert "The same game was played twice" not in asked[4][1]
    (rule, success) = learned.memory.units
    assert learned.memory.votes == {rule.id: 3}
    assert rule.env_seeds == success.env_seeds == (3,)
    assert rule.trajectories == ("r2/player_0", "e/player_0")


def test_reflections_stop_with_the_attempts():
    evolver, asked = critic()
    play, tries = solved_at(99)
    learn("expel", [episode("e", "north", solved=False)], evolver=evolver, play=play)
    assert [kind for kind, _ in asked] == ["Reflection"] * 3
    assert len(tries) == 3
    assert [unit.text for unit in tries[2][0].units] == ["Plan 1.", "Plan 2.", "Plan 3."]


def test_successes_are_looked_at_in_chunks_of_one_each_game():
    evolver, asked = critic()
    batch = [episode(f"e{seed}", f"move{seed}", solved=True, seed=seed) for seed in range(10)]
    batch.append(episode("again", "twice", solved=True, seed=0))
    learn("expel", batch, evolver=evolver)
    assert len(asked) == 2
    assert [sum(f"move{seed}." in prompt or f"move{seed} " in prompt for seed in range(10)) for _, prompt in asked] == [
        8,
        2,
    ]
    assert not any("twice" in prompt for _, prompt in asked)


def test_an_edited_rule_knows_what_it_was_and_a_full_list_is_said():
    evolver, asked = critic(
        operations(("ADD", 0, "Open doors."), ("ADD", 0, "Take keys.")),
        operations(("EDIT", 1, "Open red doors."), ("REMOVE", 2, "Take keys.")),
    )
    batches = [[episode("a", "open", solved=True, seed=1)], [episode("b", "open", solved=True, seed=2)]]
    first = learn("expel", batches[0], evolver=evolver, choices={"rules": 2})
    old, _ = first.memory.rules
    second = learn("expel", batches[1], evolver=evolver, choices={"rules": 2}, start=first.state)
    assert "The list is full" not in asked[0][1]
    assert "The list is full" in asked[1][1]
    new, other = second.memory.rules
    assert (new.text, new.parents, new.env_seeds) == ("Open red doors.", (old.id,), (1, 2))
    assert second.memory.votes == {new.id: 3, other.id: 1}
    about = [(event.action, event.of, event.value) for event in said(second.events, "unit")]
    assert about == [("rewritten", "rule", 3.0), ("voted", "rule", 1.0)], "the same episode again is one unit"


def test_rules_come_first_and_the_likest_episodes_after_them():
    evolver, _ = critic(operations(("ADD", 0, "Open doors.")))
    sights = {"cellar": "A cellar with a red door.", "garden": "A garden with a blue gate.", "moon": "Dust."}
    batch = [episode(id, id, solved=True, seed=n, sight=sight) for n, (id, sight) in enumerate(sights.items())]
    memory = learn("expel", batch, evolver=evolver, choices={"k": 1}).memory
    shown = advice(memory, sights["garden"])
    assert shown.index("Open doors.") < shown.index("Move: garden")
    assert "Move: cellar" not in shown
    assert advice(memory, sights["garden"], env_seed=None) == "", "while gathering nothing is shown"


def test_of_several_successes_at_one_game_the_shortest_stays():
    evolver, _ = critic()
    batch = [episode("long", "north", "open", solved=True), episode("short", "open", solved=True)]
    first = learn("expel", batch[:1], evolver=evolver)
    (unit,) = learn("expel", batch[1:], evolver=evolver, start=first.state).memory.units
    assert unit.trajectories == ("short/player_0",)
    (unit,) = learn("expel", batch, evolver=evolver).memory.units
    assert unit.trajectories == ("short/player_0",)


def test_the_same_words_of_two_games_are_one_unit_kept_from_both():
    evolver, _ = critic()
    batch = [episode(str(seed), "open", solved=True, seed=seed) for seed in (1, 2)]
    memory = learn("expel", batch, evolver=evolver).memory
    assert [unit.env_seeds for unit in memory.units] == [(1, 2)]
    assert advice(memory, env_seed=2) == ""


def test_without_retries_experience_may_be_shared():
    assert MEMORIES["expel"].needs_own({})
    assert not MEMORIES["expel"].needs_own({"attempts": 1})
