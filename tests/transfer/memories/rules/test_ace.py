"""ACE's playbook: what is tagged, added and refused, and what is played again. Reflector and curator are a fake."""

from __future__ import annotations

from tests.support.lessons import advice, episode, fake, learn, replay, said
from transfer.memories.kinds import MEMORIES


def diagnosis(insight: str = "Doors open.", **tags: str) -> dict:
    """Tags by number: `_1="helpful"`."""
    tagged = [{"number": int(number[1:]), "tag": tag} for number, tag in tags.items()]
    rest = dict.fromkeys(["reasoning", "error", "cause", "approach"], "")
    return rest | {"insight": insight, "tags": tagged}


def additions(*given: tuple[str, str]) -> dict:
    return {"reasoning": "", "additions": [{"section": section, "content": text} for section, text in given]}


def writers(reflections: list[dict], curations: list[dict]):
    asked: list[tuple[str, str]] = []

    def answer(kind, prompt):
        asked.append((kind, prompt))
        return (reflections if kind == "Diagnosis" else curations).pop(0)

    return fake(answer), asked


def solved(id: str, **about):
    return episode(id, "open", solved=True, **about)


def test_a_bullet_is_added_to_its_section_under_an_id_of_its_own():
    evolver, asked = writers(
        [diagnosis()], [additions(("mistakes", "Do not dawdle."), ("strategies", "Open doors."), ("mistakes", "Look."))]
    )
    memory = learn("playbook", [solved("a", seed=5)], evolver=evolver).memory
    assert [kind for kind, _ in asked] == ["Diagnosis", "Curation"]
    assert "Doors open." in asked[1][1]
    assert len({unit.id for unit in memory.units}) == 3
    assert all(unit.env_seeds == (5,) for unit in memory.units)
    assert advice(memory).endswith(
        ":\n\nStrategies and insights\n- [helpful 0, harmful 0] Open doors.\n\n"
        "Common mistakes to avoid\n- [helpful 0, harmful 0] Do not dawdle.\n- [helpful 0, harmful 0] Look."
    )


def test_counts_move_for_tagged_bullets_that_were_shown_alone():
    evolver, asked = writers(
        [diagnosis(), diagnosis(_1="helpful", _2="neutral", _3="harmful", _4="helpful")],
        [additions(*((("others", f"Bullet {number}.")) for number in range(4))), additions()],
    )
    first = learn("playbook", [solved("a")], evolver=evolver)
    units = [unit.id for unit in first.memory.units]
    second = learn("playbook", [solved("b", seed=1, units=units[:3])], evolver=evolver, start=first.state)
    assert "1. Bullet 0.\n2. Bullet 1.\n3. Bullet 2.\n\n" in asked[2][1]
    assert second.memory.helpful == {units[0]: 1}
    assert second.memory.harmful == {units[2]: 1}
    assert [(event.skill, event.value) for event in said(second.events, "unit")] == [(units[0], 1.0), (units[2], -1.0)]
    assert "[helpful 1, harmful 0] Bullet 0." in advice(second.memory)


def test_a_failed_game_is_played_again_with_the_reflection_until_it_is_solved():
    evolver, asked = writers([diagnosis("First."), diagnosis("Second.")], [additions(("clues", "Keys shine."))])
    play, tries = replay(lambda memory, seed, number: episode(f"r{number}", "open", solved=number == 2, seed=seed))
    learned = learn("playbook", [episode("e", "north", solved=False, seed=3)], evolver=evolver, play=play)
    assert [seed for _, seed in tries] == [3, 3]
    assert advice(tries[0][0], env_seed=None).endswith("On the last attempt at this game\n"
        "Error: \nCause: \nWhat to do: \nInsight: First.")  # fmt: skip
    assert "Second." in advice(tries[1][0], env_seed=None)
    assert "Second." in asked[-1][1], "the curator reads the last reflection"
    (unit,) = learned.memory.units
    assert unit.trajectories == ("e/player_0", "r1/player_0", "r2/player_0")
    assert "Insight" not in advice(learned.memory)


def test_three_reflections_after_a_failure_and_then_the_curator():
    evolver, asked = writers([diagnosis()] * 3, [additions()])
    play, tries = replay(lambda memory, seed, number: episode(f"r{number}", "north", solved=False, seed=seed))
    learn("playbook", [episode("e", "north", solved=False)], evolver=evolver, play=play)
    assert [kind for kind, _ in asked] == ["Diagnosis"] * 3 + ["Curation"]
    assert len(tries) == 2


def test_where_the_budget_of_episodes_is_spent_one_reflection_is_enough():
    evolver, _ = writers([diagnosis()], [additions(("clues", "Keys shine."))])
    learned = learn("playbook", [episode("e", "north", solved=False)], evolver=evolver)
    assert [unit.text for unit in learned.memory.units] == ["Keys shine."]


def test_over_the_token_budget_a_bullet_is_refused_whole():
    heading = len(["What", "you", "have", "kept", "from", "earlier", "games:", "Strategies", "and", "insights"])
    evolver, _ = writers(
        [diagnosis()], [additions(*[("strategies", words) for words in ("One two.", "Three four.", "Five.")])]
    )
    learned = learn("playbook", [solved("a")], evolver=evolver, choices={"budget": heading + 7 + 6})
    assert [unit.text for unit in learned.memory.units] == ["One two.", "Five."]
    (skipped,) = said(learned.events, "skipped")
    assert skipped.why.endswith("tokens of the playbook for: Three four.")


def test_what_the_playbook_says_is_not_added_again():
    evolver, _ = writers([diagnosis()], [additions(("strategies", "Open doors."), ("clues", "Open doors."))])
    learned = learn("playbook", [solved("a")], evolver=evolver)
    assert [unit.name for unit in learned.memory.units] == ["strategies"]
    assert len(said(learned.events, "skipped")) == 1


def test_where_there_is_no_room_what_helped_least_stays_out():
    evolver, _ = writers(
        [diagnosis(), diagnosis(_2="helpful")], [additions(("others", "One."), ("others", "Two.")), additions()]
    )
    first = learn("playbook", [solved("a")], evolver=evolver)
    units = [unit.id for unit in first.memory.units]
    memory = learn("playbook", [solved("b", seed=1, units=units)], evolver=evolver, start=first.state).memory
    shown = advice(memory, room=7 + 1 + 6)
    assert "Two." in shown
    assert "One." not in shown


def test_with_one_round_experience_may_be_shared():
    assert MEMORIES["playbook"].needs_own({})
    assert not MEMORIES["playbook"].needs_own({"rounds": 1})
