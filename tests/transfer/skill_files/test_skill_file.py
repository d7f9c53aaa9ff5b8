"""One skill as a SKILL.md file, there and back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.skill import Skill
from transfer.skill_files.front_matter import SkillFileError
from transfer.skill_files.skill_file import DONE, SkillFile, folder_name

DOOR = Skill(name="Open the owl's door", activation="A sign: owl", procedure="Say [green].", termination="It opened")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
HOSTILE = st.sampled_from(
    ["## Until\n\n", "\\## How\n\n", "---\n", "\n\n", "# ", "a: b", "é", "\u202e", "\u2028", "\x85"]
)
WORDS = st.lists(st.one_of(TEXT, HOSTILE), min_size=1, max_size=6).map("".join)
FOREIGN = """---
name: pdf-processing
description: Extract text from PDF files. Use when a PDF is mentioned.
license: Apache-2.0
compatibility: Requires Python
metadata:
  author: example-org
  version: 1.10
allowed-tools: Bash(git:*) Read
surprise: [yes, {deep: 07}]
---

# PDF processing

## How
Run scripts/extract.py
"""


def parsed(text: str, folder: str = "pdf-processing") -> SkillFile:
    return SkillFile.parse(text, folder, "here/SKILL.md")


@example(words=("a\x85", "0\x85", "\x85b", "c\x85\x85"), parents=[])
@given(words=st.tuples(WORDS, WORDS, WORDS, WORDS), parents=st.lists(st.sampled_from(["a1", "b2"]), unique=True))
def test_every_skill_comes_back_as_itself(words, parents):
    name, activation, procedure, termination = words
    skill = Skill(
        name=name[:120], activation=activation, procedure=procedure, termination=termination, parents=tuple(parents)
    )
    file = SkillFile("any-name", skill, {"license": "MIT"}, {"score": "0.5", "run": "runs/x: y"})
    back = SkillFile.parse(file.render(), "any-name", "x")
    assert (back.skill.id, back.skill, back.fields, back.origin) == (skill.id, skill, file.fields, file.origin)


def test_a_long_activation_is_shortened_in_the_description_and_kept_whole():
    skill = DOOR.model_copy(update={"activation": "word " * 500})
    text = SkillFile("door", skill).render()
    assert SkillFile.parse(text, "door", "x").skill.id == skill.id
    description = next(line for line in text.splitlines() if line.startswith("description:"))
    assert description.startswith("description: word word")


def test_an_edited_file_is_a_new_skill_and_child_of_the_old_one():
    text = SkillFile("door", DOOR, origin={"score": "1.0"}).render()
    edited = parsed(text.replace("[green]", "[red]"), "door")
    assert edited.skill.procedure == "Say [red]."
    assert edited.skill.name == DOOR.name
    assert edited.skill.parents == (DOOR.id,)
    assert edited.origin == {}


def test_of_others_unknown_fields_are_kept_and_the_body_is_the_procedure():
    file = parsed(FOREIGN)
    assert file.skill.activation.startswith("Extract text")
    assert file.skill.procedure == "# PDF processing\n\n## How\nRun scripts/extract.py"
    assert file.skill.termination == DONE
    assert file.fields["metadata"] == {"author": "example-org", "version": "1.10"}
    assert file.fields["surprise"] == ["yes", {"deep": "07"}]
    again = parsed(file.render())
    assert (again.skill, again.fields) == (file.skill, file.fields)


def test_line_ends_of_windows_are_line_ends():
    assert parsed(FOREIGN.replace("\n", "\r\n")).skill == parsed(FOREIGN).skill


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# no front matter", "has no front matter"),
        ("", "has no front matter"),
        ("---\nname: x\n", "does not end"),
        ("---\n- a\n---\nbody", "no list of"),
        ("---\nname: [\n---\nbody", "no YAML"),
        ("---\nname: x: y\n---\nbody", "no YAML: line 2"),
        ("---\ndescription: d\n---\nbody", "has no name; add name: pdf-processing"),
        ("---\nname: other-name\ndescription: d\n---\nbody", "lies in 'pdf-processing'"),
        ("---\nname: ../../etc\ndescription: d\n---\nbody", "lower-case letters"),
        ("---\nname: PDF\ndescription: d\n---\nbody", "lower-case letters"),
        ("---\nname: a--b\ndescription: d\n---\nbody", "lower-case letters"),
        ("---\nname: " + "a" * 65 + "\ndescription: d\n---\nbody", "lower-case letters"),
        ("---\nname: pdf-processing\n---\nbody", "has no description"),
        ("---\nname: pdf-processing\ndescription: ' '\n---\nbody", "has no description"),
        ("---\nname: pdf-processing\ndescription: " + "d" * 1025 + "\n---\nbody", "1025 characters"),
        ("---\nname: pdf-processing\ndescription: d\n---\n \n", "its body is empty"),
        ("---\nname: pdf-processing\ndescription: d\n---\n" + "b" * 8001, "its body has 8001 characters"),
        ("---\nname: pdf-processing\nname: pdf-processing\ndescription: d\n---\nb", "stands twice"),
        ("---\nname: &a pdf-processing\ndescription: *a\n---\nb", "anchor"),
        ("---\nname: pdf-processing\ndescription: d\nx: " + "[" * 40 + "]" * 40 + "\n---\nb", "nested"),
        ("---\nname: pdf-processing\ndescription: d\nmetadata: text\n---\nb", "metadata is no mapping"),
        ("---\nx: " + "y" * 70_000 + "\n---\nb", "larger than 64 KiB"),
        ("---\n? [a]\n: b\n---\nb", "is no text"),
    ],
)
def test_what_is_no_skill_is_refused_in_one_sentence(text, why):
    with pytest.raises(SkillFileError, match=why.replace("[", r"\[")) as error:
        parsed(text)
    assert str(error.value).startswith("here/SKILL.md")
    assert "\n" not in str(error.value)


def test_tags_of_yaml_make_no_objects():
    text = "---\nname: pdf-processing\ndescription: !!python/object/apply:os.system [id]\n---\nb"
    with pytest.raises(SkillFileError, match="no description"):
        parsed(text)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Öffne die Tür!", "offne-die-tur"), ("../../etc/passwd", "etc-passwd"), ("a" * 119, "a" * 64), ("--", None)],
)
def test_names_of_folders(name, folder):
    skill = DOOR.model_copy(update={"name": name})
    assert folder_name(skill) == (folder or f"skill-{skill.id}")
