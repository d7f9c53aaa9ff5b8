"""Trajectories on disk."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tests.support.fake_evolver import trajectory
from transfer.memory.experience import Trajectory


def test_a_grammar_is_written_once_and_read_back_everywhere():
    whole = trajectory("t", [("[a]", 0.0), ("[b]", 1.0), ("[a]", 0.0)], None)
    other = whole.steps[1].model_copy(update={"grammar": None})
    mixed = whole.model_copy(update={"steps": (whole.steps[0], other, whole.steps[2])})
    for each in (whole, mixed, whole.model_copy(update={"steps": ()})):
        text = each.model_dump_json()
        assert Trajectory.model_validate_json(text) == each
        assert Trajectory.model_validate(each.model_dump()) == each
        assert len(json.loads(text)["grammars"]) == len({step.grammar for step in each.steps})


def test_a_grammar_that_is_not_there_is_refused():
    content = json.loads(trajectory("t", [("[a]", 0.0)], None).model_dump_json())
    with pytest.raises(ValidationError, match="does not hold"):
        Trajectory.model_validate(content | {"grammars": []})
