"""Names for actions, and moves read back from texts."""

from __future__ import annotations

import pytest

from environments.worlds.text_view.view import LONGEST_LIST, TextView, move, options


def view(*actions: str) -> TextView:
    return TextView("The rules.\n", actions, lambda seen, seat: "")


def test_a_move_is_the_first_bracketed_legal_name():
    legal = {"pick up": 4, "north": 1}
    assert move("[north]", legal) == 1
    assert move("I could go [south], but I [pick up], then [north].", legal) == 4
    assert [move(text, legal) for text in ("north", "[North]", "[]", "[[", "[no\nrth]", "")] == [None] * 6


def test_the_manual_says_how_a_move_is_written():
    assert view("a", "b").manual == "The rules.\nAnswer with one move in square brackets: [a], [b]."
    assert view("a", "b").grammar.options == ("[a]", "[b]")
    many = view(*map(str, range(LONGEST_LIST + 1)))
    assert many.manual == "The rules.\nAnswer with one move in square brackets."
    assert options(many.actions) == ""
    assert options(("a",)) == "You can play: [a]."


@pytest.mark.parametrize("actions", [("a", "a"), ("a", ""), ("a", "b]"), ("a", "b\nc"), ("a", "b" * 41)])
def test_names_are_different_texts_that_fit_into_brackets(actions: tuple[str, ...]):
    with pytest.raises(ValueError, match="different texts of 1 to 40 characters"):
        view(*actions)
