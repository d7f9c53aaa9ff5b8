"""A skill is its words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.skill import Skill

WORDS = {"name": "Look", "activation": "always", "procedure": "look — «ö»", "termination": "seen"}


def test_the_id_is_the_same_in_every_process():
    """A golden value: whoever changes it breaks every stored pool."""
    assert Skill(**WORDS).id == "949d36ded65d"


def test_the_id_depends_on_the_words_alone():
    skill = Skill(**WORDS)
    assert Skill(**WORDS, parents=("x",)).id == skill.id
    assert len({Skill(**{**WORDS, part: "other"}).id for part in WORDS} | {skill.id}) == 5
    assert (
        Skill(**{**WORDS, "name": "Lookalways", "activation": "x"}).id != Skill(**{**WORDS, "activation": "alwaysx"}).id
    )
    assert Skill.model_validate_json(skill.model_dump_json()) == skill


def test_its_text_says_all_of_it():
    text = Skill(**WORDS).text
    assert all(words in text for words in WORDS.values())


@pytest.mark.parametrize("change", [{"name": ""}, {"name": "x" * 121}, {"procedure": ""}, {"extra": "x"}])
def test_what_is_no_skill(change):
    with pytest.raises(ValidationError):
        Skill(**{**WORDS, **change})


def test_a_skill_cannot_be_changed():
    with pytest.raises(ValidationError):
        Skill(**WORDS).name = "other"
