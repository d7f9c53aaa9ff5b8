"""The operations on insights, one rule of the official code each."""

from __future__ import annotations

import pytest

from transfer.memories.notes.insights import Insight, Operation, alive, operated, voted

OLD = [
    Insight(number=3, rule="Look before you leap.", score=2, support=("a",)),
    Insight(number=5, rule="Count the doors.", score=1, support=("b",)),
]


def after(*operations: tuple[str, int, str], insights=OLD, shown=(5, 3)):
    """`shown`: rule 1 of the writer is insight 5."""
    made = [Operation(operation=name, number=number, rule=rule) for name, number, rule in operations]  # pyright: ignore[reportArgumentType]
    return {each.number: each for each in operated(insights, made, shown, ["x", "y"], 9)}


def test_a_new_one_has_two_votes_and_its_games():
    new = after(("ADD", 0, "Open the red door."))[10]
    assert new == Insight(number=10, rule="Open the red door.", score=2, support=("x", "y"))


def test_agreeing_gives_a_vote_and_adds_the_games():
    assert after(("AGREE", 2, ""))[3] == OLD[0].with_votes(1, support=("x", "y"))
    assert after(("AGREE", 2, ""))[3].support == ("a", "x", "y")


def test_other_words_keep_the_number_and_give_a_vote():
    edited = after(("EDIT", 1, "Count all doors twice."))[5]
    assert (edited.rule, edited.score) == ("Count all doors twice.", 2)


def test_removing_takes_one_vote_or_three_where_there_are_ten():
    assert after(("REMOVE", 2, ""))[3].score == 1
    assert after(("REMOVE", 2, ""))[3].against == ("x", "y")
    many = [Insight(number=number, rule=f"Rule {number}.", score=4) for number in range(1, 11)]
    assert after(("REMOVE", 1, ""), insights=many, shown=[4])[4].score == 1


def test_nobody_goes_before_all_have_voted():
    """REMOVE and then AGREE, whatever their order in the answer."""
    votes = after(("AGREE", 1, ""), ("REMOVE", 1, ""))
    assert votes[5].score == 1
    assert [each.number for each in alive([*after(("REMOVE", 1, "")).values()])] == [3]


@pytest.mark.parametrize(
    "operation",
    [
        ("ADD", 0, "First, Count the doors."),
        ("ADD", 0, "  "),
        ("EDIT", 1, " "),
        ("EDIT", 7, "Nothing like it."),
        ("AGREE", 0, "Nothing like it."),
        ("REMOVE", 3, "Nothing like it."),
    ],
)
def test_what_makes_no_sense_is_passed_over(operation):
    assert list(after(operation).values()) == OLD


def test_an_edit_that_says_another_rule_agrees_with_that_one():
    assert after(("EDIT", 2, "Always: Count the doors."))[5].score == 2
    assert after(("EDIT", 2, "Always: Count the doors."))[3] == OLD[0]


def test_a_success_gives_a_vote_and_a_failure_takes_two():
    assert [each.score for each in voted(OLD, {3}, success=True)] == [3, 1]
    assert [each.score for each in voted(OLD, {3, 5}, success=False)] == [0, -1]
