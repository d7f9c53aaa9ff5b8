"""SkillOpt's known truths. Episodes and evolver are fakes; a game of the gate pays what its document is worth."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support.lessons import replay
from tests.transfer.memories.routines.fakes import Learning, Told, episode, recall
from transfer.memories.routines.skill_opt.document import Document, Edit, edit_budget
from transfer.memories.routines.skill_opt.learner import SkillOpt
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory


def edit(content: str, op: str = "append", target: str = "") -> dict[str, str]:
    return {"op": op, "target": target, "content": content}


def patch(*edits: Mapping[str, str], pattern: str = "It dawdles.") -> dict[str, Any]:
    return {"pattern": pattern, "edits": list(edits)}


def worth(**words: float) -> Callable[[Memory | None, int, int], Trajectory]:
    """A game pays what the last word of the document that is known here is worth."""

    def play(memory: Memory | None, env_seed: int, number: int) -> Trajectory:
        assert isinstance(memory, SkillOpt)
        text = "" if memory.draft is None else memory.draft.text
        (paid,) = [value for word, value in words.items() if word in text][-1:] or [0.0]
        return episode(f"gate{number}", paid >= 1, seed=env_seed).model_copy(update={"total": paid})

    return play


def learning(answer, **choices):
    told = choices.pop("told", {})
    play, asked = replay(answer)
    given = {"games": 2, "slow": "off", "meta": False} | choices
    return Learning("skill_opt", Told(**({"Patch": patch(edit("Hurry."))} | told)), play, **given), asked


def lost(number: int = 0) -> Trajectory:
    return episode(f"lost{number}", False, seed=2 * number)


def test_better_games_let_a_document_in_and_the_best_one_is_shown():
    run, asked = learning(worth(Hurry=0.5))
    run.learn(lost())
    assert run.memory.score == run.memory.best == 0.5
    assert len(asked) == 4, "two games with no document, two with the new one"
    assert {seed for _, seed in asked} == set(run.memory.games)
    assert all(seed % 2 == 0 for seed in run.memory.games)
    (unit,) = run.memory.units
    assert unit.text == "Hurry."
    assert recall(run.memory).units == (unit.id,)
    assert run.happened == ["written"]


@pytest.mark.parametrize("score", [0.0, -0.5])
def test_what_is_not_strictly_better_stays_out_and_is_told_to_the_next_analyst(score):
    run, asked = learning(worth(Hurry=score), steps=2)
    run.learn(lost())
    assert run.memory.units == ()
    assert run.memory.document == Document()
    assert run.happened == ["dropped"]
    run.learn(lost(1))
    second = run.evolver.asked("Patch")[1]
    assert "Step 1: rejected; 1 of 1 games failed\n  It dawdles." in second
    assert f"the score was 0, with them {score:.3g}" in second
    assert "append: Hurry." in second
    assert len(asked) == 6, "the present document has played already"


def test_another_epoch_knows_nothing_of_what_was_rejected():
    run, _ = learning(worth())
    run.learn(lost()).learn(lost(1))
    assert "rejected" not in run.evolver.asked("Patch")[1]


def test_an_edit_without_its_target_changes_nothing_and_costs_no_game():
    run, asked = learning(worth(), told={"Patch": patch(edit("x", "replace", "not there"))})
    run.learn(lost())
    assert asked == []
    assert run.memory.units == ()


def test_where_the_budget_ends_nothing_is_decided():
    play, asked = replay(worth(Hurry=1.0))

    async def scarce(memory, env_seeds):
        return (await play(memory, env_seeds))[: 3 - len(asked) + len(env_seeds)]

    run = Learning("skill_opt", Told(Patch=patch(edit("Hurry."))), scarce, games=2)
    run.learn(lost())
    assert run.memory.units == ()
    assert run.happened == ["skipped"]
    assert "1 of the gate's 2 games" in run.events[-1].why


def test_failures_and_successes_are_studied_apart_merged_and_ranked_to_the_budget():
    edits = [edit(f"Rule {number}.") for number in range(1, 6)]
    told = {"Patch": patch(*edits), "Merged": {"edits": edits}, "Ranking": {"selected": [5, 9, 2, 5, 1, 3, 4]}}
    run, _ = learning(worth(Rule=1.0), told=told, minibatch=2)
    run.learn(lost(), lost(1), lost(2), episode("won"))
    asked = run.evolver.asked("Patch")
    assert [text.count("An earlier") + text.count("It ended with") for text in asked] == [2, 1, 1]
    assert ["failed:" in text for text in asked] == [True, True, False]
    assert all("at most 4 changes" in text for text in asked)
    merges = run.evolver.asked("Merged")
    assert len(merges) == 2, "the failures' two patches, then both groups"
    assert ["counts more" in text for text in merges] == [False, True]
    assert merges[0].count("append: Rule") == 8, "four of five edits of each patch: the budget"
    (unit,) = run.memory.units
    assert unit.text == "Rule 5.\n\nRule 2.\n\nRule 1.\n\nRule 3."


def test_nonsense_of_the_merger_and_the_ranker_keeps_the_first_edits():
    told = {"Patch": patch(*(edit(f"Rule {number}.") for number in range(4)))}
    run, _ = learning(worth(Rule=1.0), told=told, minibatch=1, edits=3)
    run.learn(lost(), lost(1))
    assert run.memory.units[0].text == "Rule 0.\n\nRule 1.\n\nRule 2."
    assert run.happened == ["skipped", "skipped", "written"]


def guided(answer=None, **choices):
    told = {
        "Patch": [patch(edit("Hurry.")), patch()],
        "Guidance": {"reasoning": "", "guidance": "Never rest."},
        "MetaSkill": {"advice": "Short rules."},
    }
    run, asked = learning(
        answer or worth(Hurry=0.5, rest=0.2), told=told, **({"slow": "ungated", "meta": True} | choices)
    )
    return run.learn(lost()).learn(lost(1)), asked


def test_guidance_of_the_second_epoch_goes_into_the_document_in_training_and_not_into_the_best():
    run, asked = guided()
    assert run.memory.document == Document(body="Hurry.", guidance="Never rest.")
    assert [unit.text for unit in run.memory.units] == ["Hurry."]
    assert "Never rest." in recall(run.memory, env_seed=None).text
    assert run.memory.score == 0.5
    (question,) = run.evolver.asked("Guidance")
    assert "Game 2, solved still: 0.5 points before, 0.5 now" in question
    assert len(asked) == 4 + 2, "the gate, then one game with both documents"
    assert run.memory.advice == "Short rules."


def test_what_was_lost_again_is_shown_as_it_was_and_as_it_is():
    paid = [0.0, 0.0, 1.0, 1.0, 1.0, -1.0]

    def answer(memory, env_seed, number):
        total = paid[number - 1]
        return episode(f"again{number}", total > 0, seed=env_seed).model_copy(update={"total": total})

    run, _ = guided(answer)
    for kind in ("Guidance", "MetaSkill"):
        (question,) = run.evolver.asked(kind)
        assert "Game 2, lost again: 1 points before, -1 now\nBefore:\nThe player saw: " in question
        assert question.count("Move 1: [a]") == 2


def test_gated_guidance_must_pass_the_gate():
    run, _ = guided(slow="gated")
    assert run.memory.document == Document(body="Hurry.")
    assert "dropped" in run.happened


def test_the_first_epoch_has_no_guidance_and_off_has_none():
    run, asked = learning(worth(Hurry=0.5), slow="ungated", meta=True)
    run.learn(lost())
    assert run.evolver.asked("Guidance") == []
    run, asked = guided(slow="off", meta=False)
    assert len(asked) == 4


def test_advice_stands_in_later_questions():
    run, _ = guided()
    run.evolver = Told(Patch=patch())
    run.learn(lost(2))
    assert "Short rules." in run.evolver.asked("Patch")[0]


def test_a_seed_document_is_shown_from_the_start():
    run, _ = learning(worth(), document="Look first.", told={"Patch": patch()})
    run.learn(lost())
    assert [unit.text for unit in run.memory.units] == ["Look first."]


def test_nonsense_leaves_the_memory_as_it_was():
    run, asked = learning(worth(), told={"Patch": "nonsense"})
    run.learn(lost())
    before = run.memory.digest
    run.learn(lost(1))
    assert run.memory.digest == before
    assert run.happened == ["skipped", "skipped"]
    assert asked == []


@pytest.mark.parametrize(
    ("op", "target", "content", "after"),
    [
        ("append", "", "C", "A one.\nB two.\n\nC"),
        ("insert_after", "one", "C", "A one.\nC\nB two."),
        ("insert_after", "two", "C", "A one.\nB two.\nC"),
        ("insert_after", "nine", "C", "A one.\nB two.\n\nC"),
        ("insert_after", "Never", "C", "A one.\nB two."),
        ("replace", "one", "nine", "A nine.\nB two."),
        ("replace", "nine", "C", "A one.\nB two."),
        ("replace", "", "C", "A one.\nB two."),
        ("delete", "\nB two.", "", "A one."),
        ("delete", "nine", "", "A one.\nB two."),
        ("delete", "Never", "", "A one.\nB two."),
    ],
)
def test_what_an_edit_does(op, target, content, after):
    document = Document(body="A one.\nB two.", guidance="Never rest.")
    assert document.edited([Edit(op=op, target=target, content=content)]) == Document(
        body=after, guidance="Never rest."
    )


def test_the_budget_of_edits_falls_along_a_cosine():
    assert [edit_budget(step, 5, 4, 2) for step in range(7)] == [4, 4, 3, 2, 2, 2, 2]
    assert edit_budget(0, 1, 4, 2) == 4
