"""What a learner remembers of its skills."""

from __future__ import annotations

from tests.support.members import skill, state


def test_the_value_of_the_untried_is_that_of_its_parents():
    parent = skill("parent")
    child = skill("child", parents=(parent.id,))
    known = state(child, scores={parent.id: 0.25})
    assert known.value_estimate(child.id) == 0.25
    assert state(child).value_estimate(child.id) == 0.0
