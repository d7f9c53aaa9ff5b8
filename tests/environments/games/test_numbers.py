"""Numbers as moves: one number is one text, and what is none is objected to in a sentence."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.games.numbers import Setting, Settings
from environments.pattern import parse
from environments.sampling import sample

PAIR = Settings((Setting("heat", 0.0, 10.0, 1), Setting("tilt", -5.0, 5.0, 1)))


@given(first=st.integers(-1300, 1300), count=st.integers(1, 400), decimals=st.integers(0, 3))
def test_the_pattern_accepts_every_number_within_bounds_and_no_other_text(first, count, decimals):
    cell = 10**-decimals
    setting = Setting("x", first * cell, (first + count - 1) * cell, decimals)
    texts, pattern = setting.texts, re.compile(setting.pattern)
    assert len(setting) == len(texts) == count
    assert [float(text) for text in texts] == pytest.approx([(first + step) * cell for step in range(count)])
    assert all(map(pattern.fullmatch, texts))
    near = [f"{(first + step) * cell:.{decimals}f}" for step in (-100, -10, -2, -1, count, count + 1, count + 100)]
    strange = ["-0", "-0.0", "-0.00", "-0.000", "00", "01.0", "+1", "1.", ".5", "", "1e1", "٣"]
    wrong = [text for text in near + strange if text not in texts]
    assert [text for text in wrong if pattern.fullmatch(text)] == []
    parse(setting.pattern)  # inside the subset that masks and samplers read


def test_bounds_between_two_numbers_are_rounded_inwards():
    assert Setting("x", 0.05, 0.31, 1).texts == ["0.1", "0.2", "0.3"]
    assert Setting("x", -0.05, 0.0, 1).texts == ["0.0"]
    assert Setting("x", 0.0, 0.3, 1).bounds == "0.0 to 0.3"
    with pytest.raises(ValueError, match=r"^x: no numbers of 0 decimals between 0.1 and 0.9$"):
        Setting("x", 0.1, 0.9, 0)
    with pytest.raises(ValueError, match="no numbers of 1 decimals between nan and 1"):
        Setting("x", float("nan"), 1.0, 1)


def test_what_is_written_is_read_again():
    rng = np.random.default_rng(0)
    for _ in range(50):
        move = sample(PAIR.grammar, rng)
        values = PAIR.read(f"I say {move}.")
        assert values is not None
        assert PAIR.write(values) == move
    assert PAIR.write((99.0, -0.04)) == "[10.0, 0.0]"
    assert PAIR.read("[1.0] or [2.0, 3.0] or [4.0, 4.0]") == (2.0, 3.0)
    assert PAIR.read("[1.0,2.0]") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("heat!", "That was no valid answer. Answer in square brackets with heat (0.0 to 10.0, 1 decimal) and tilt"),
        ("[1.0]", "That is 1 number, and a move has 2."),
        ("[1.0, 2.0, 3.0]", "Those are 3 numbers, and a move has 2."),
        ("[11.0, 2.0]", "11.0 is outside 0.0 to 10.0, the bounds of heat."),
        ("[1.0, -7.5]", "-7.5 is outside -5.0 to 5.0, the bounds of tilt."),
        ("[7.25, 0.0]", "Write heat with 1 decimal: 7.2, not 7.25."),
        ("[7, 0.0]", "Write heat with 1 decimal: 7.0, not 7."),
        ("[hot, 0.0]", "'hot' is no number for heat; write one like 5.0."),
        ("[1.0,2.0]", "Write one space after each comma."),
        (f"[{'9' * 300}, 0.0]", f"{'9' * 40!r} is no number for heat"),
    ],
)
def test_what_is_no_move_is_objected_to(text, said):
    assert PAIR.objection(text).startswith(said)


def test_a_move_has_numbers_with_names_of_their_own():
    with pytest.raises(ValueError, match="a name of its own"):
        Settings((Setting("x", 0, 1, 0), Setting("x", 0, 1, 0)))
    with pytest.raises(ValueError, match="at least one number"):
        Settings(())
