"""Votes on rules, by the known truths of the official code."""

from __future__ import annotations

import pytest

from transfer.memories.rules.votes import Operation, VotedRule, vote


def operation(words: str) -> Operation:
    """ "EDIT 1: c." or "ADD: a." """
    head, text = words.split(": ")
    kind, _, number = head.partition(" ")
    return Operation.model_validate({"operation": kind, "number": int(number or 0), "text": text})


def voted(rules: dict[str, int], *operations: str, most: int = 10) -> dict[str, int]:
    before = [VotedRule(text, votes, text) for text, votes in rules.items()]
    after = vote(before, [operation(words) for words in operations], most)
    assert [rule.votes for rule in after] == sorted((rule.votes for rule in after), reverse=True)
    return {rule.text: rule.votes for rule in after}


def test_from_nothing_to_an_edit():
    rules = voted({}, "ADD: a.", "ADD: b.")
    assert rules == {"a.": 2, "b.": 2}
    rules = voted(rules, "AGREE: a.")
    assert rules == {"a.": 3, "b.": 2}
    assert voted(rules, "REMOVE: b.", "REMOVE: b.") == {"a.": 3}
    assert voted(voted(rules, "REMOVE: b."), "REMOVE: b.") == {"a.": 3}
    assert voted(rules, "EDIT 1: c.") == {"c.": 4, "b.": 2}


def test_an_edit_is_sorted_by_its_new_votes():
    assert list(voted({"a.": 2, "b.": 2}, "EDIT 2: c.")) == ["c.", "a."]


def test_where_the_list_is_overfull_a_removal_takes_three():
    rules = {f"rule {number}!.": 4 for number in range(15)}
    assert voted(rules, "REMOVE: rule 7!.")["rule 7!."] == 1
    del rules["rule 14!."]
    assert voted(rules, "REMOVE: rule 7!.")["rule 7!."] == 3


def test_operations_are_carried_out_in_the_order_of_their_kinds():
    assert voted({"a.": 1}, "ADD: b.", "EDIT 1: c.", "REMOVE: a.") == {"b.": 2, "c.": 1}


@pytest.mark.parametrize(
    "useless",
    [
        "ADD: no full stop",
        "ADD: ADD a rule.",
        "ADD: Always a.",
        "AGREE: nothing like it.",
        "REMOVE 1: nothing like it.",
        "EDIT 0: c.",
        "EDIT 3: c.",
    ],
)
def test_what_does_not_count(useless):
    assert voted({"a.": 2, "b.": 2}, useless) == {"a.": 2, "b.": 2}


def test_agreement_and_removal_mean_the_rule_that_their_text_contains():
    assert voted({"a.": 2, "b.": 2}, "AGREE 1: We hold that b.") == {"b.": 3, "a.": 2}


def test_an_edit_that_repeats_a_rule_agrees_with_it():
    assert voted({"a.": 2, "b.": 2}, "EDIT 1: b.") == {"b.": 3, "a.": 2}


def test_the_same_new_rule_twice_is_one():
    assert voted({}, "ADD: a.", "ADD: a.") == {"a.": 4}
