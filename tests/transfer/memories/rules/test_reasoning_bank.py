"""ReasoningBank: what is asked of successes and failures, what is kept and shown. The evolver is a fake."""

from __future__ import annotations

from tests.support.lessons import advice, episode, fake, learn, said

DOOR, GATE = "A cellar with a red door.", "A garden with a blue gate."


def items(*titles: str) -> dict:
    return {"reasoning": "", "items": [{"title": title, "description": "D.", "content": "C."} for title in titles]}


def by_sight(kind: str, prompt: str) -> dict:
    return items("Doors") if DOOR in prompt else items("Gates")


def test_successes_and_failures_are_asked_about_in_other_words():
    prompts: dict[bool, str] = {}

    def answer(kind, prompt):
        prompts["succeeded" in prompt] = prompt
        return items("One")

    batch = [episode("w", "open", solved=True, sight=DOOR), episode("l", "north", solved=False, sight=GATE)]
    learn("reasoning_bank", batch, evolver=fake(answer))
    assert DOOR in prompts[True]
    assert "failed" in prompts[False]
    assert GATE in prompts[False]


def test_of_four_items_three_are_kept_and_the_fourth_is_said():
    learned = learn(
        "reasoning_bank",
        [episode("e", "open", solved=True)],
        evolver=fake(lambda kind, prompt: items("One", "Two", "Three", "Four")),
    )
    assert [unit.name for unit in learned.memory.units] == ["One", "Two", "Three"]
    (skipped,) = said(learned.events, "skipped")
    assert skipped.why == "more than 3 items of one episode: Four"


def test_the_items_of_the_likest_episode_are_shown():
    batch = [episode("d", "open", solved=True, sight=DOOR), episode("g", "open", solved=False, sight=GATE, seed=1)]
    memory = learn("reasoning_bank", batch, evolver=fake(by_sight)).memory
    assert "Doors. D.\nC." in advice(memory, DOOR)
    assert "Gates" not in advice(memory, DOOR)
    assert "Gates" in advice(memory, GATE)
    assert "Doors" in advice(memory, GATE, env_seed=1), "its own game is evaluated: another one's are shown"


def test_of_equal_openings_the_latest_one_s_items_are_shown_and_n_takes_more():
    batch = [episode(str(number), "open", solved=True, seed=number) for number in range(3)]
    titles = iter(["One", "Two", "Three"] * 2)
    evolver = fake(lambda kind, prompt: items(next(titles)))
    assert "Three." in advice(learn("reasoning_bank", batch, evolver=evolver).memory)
    shown = advice(learn("reasoning_bank", batch, evolver=evolver, choices={"n": 2}).memory)
    assert [title in shown for title in ("One.", "Two.", "Three.")] == [False, True, True]


def test_the_same_item_of_two_episodes_is_one_unit_with_both_as_evidence():
    batch = [episode(str(number), "open", solved=True, seed=number) for number in range(2)]
    (unit,) = learn("reasoning_bank", batch, evolver=fake(lambda kind, prompt: items("One"))).memory.units
    assert unit.env_seeds == (0, 1)
    assert unit.trajectories == ("0/player_0", "1/player_0")


def test_the_judge_decides_where_it_is_asked_and_is_not_told_what_was_paid():
    asked: list[tuple[str, str]] = []

    def answer(kind, prompt):
        asked.append((kind, prompt))
        return {"reasoning": "", "success": False} if kind == "Verdict" else items("One")

    learn("reasoning_bank", [episode("e", "open", solved=True)], evolver=fake(answer), choices={"signal": "judge"})
    (verdict, judged), (distilled, prompt) = asked
    assert (verdict, distilled) == ("Verdict", "Distillation")
    assert "paid" not in judged + prompt
    assert "The player failed." in prompt


def test_without_a_verdict_nothing_is_distilled():
    def answer(kind, prompt):
        assert kind == "Verdict"
        return "Perhaps."

    learned = learn(
        "reasoning_bank", [episode("e", "open", solved=True)], evolver=fake(answer), choices={"signal": "judge"}
    )
    assert not learned.memory.units
    assert len(said(learned.events, "skipped")) == 1
