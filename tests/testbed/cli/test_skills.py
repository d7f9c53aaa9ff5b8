"""`procmem skills`: read, compare, take out, take in, try."""

from __future__ import annotations

import json

import pytest

from environments.diagnostics.doors import INVERTED, RULE
from tests.support.studies import ROOT
from tests.testbed.studies.test_given import lore
from transfer.memory.pool import SkillPool
from transfer.skill_files.read import read_skills

MATRIX, POPULATION = (ROOT / "tests" / "fixtures" / f"run-format-1-{kind}" for kind in ("matrix", "population"))
SOURCE = "obedient/Doors-v0/0"


def test_list_and_show(procmem):
    rows = json.loads(procmem("skills", "list", MATRIX, "--json").out)
    assert {row["learner"] for row in rows} >= {SOURCE}
    first = next(row for row in rows if row["learner"] == SOURCE)
    assert set(first) == {"learner", "pool", "id", "name", "origin", "score", "n", "tokens", "born", "parents"}
    assert first["origin"] == "seed"
    listed = procmem("skills", "list", MATRIX, "--source", SOURCE).out
    assert all(word in listed for word in (SOURCE, first["pool"], first["id"], first["name"]))
    shown = procmem("skills", "show", MATRIX, first["id"][:6], "--source", SOURCE).out
    assert "When: " in shown
    assert f"{SOURCE} · {first['id']}" in shown


def test_members_of_a_population_have_pools_too(procmem):
    rows = json.loads(procmem("skills", "list", POPULATION, "--json").out)
    assert rows
    assert all(" in " in row["learner"] for row in rows)
    trees = json.loads(procmem("skills", "lineage", POPULATION, "--json").out)
    assert {row["learner"] for row in rows} <= set(trees)


def test_lineage_is_that_of_show(procmem):
    assert procmem("skills", "lineage", MATRIX).out == procmem("show", MATRIX, "--lineage").out
    one = json.loads(procmem("skills", "lineage", MATRIX, "06a5866f4167", "--json").out)
    assert one[SOURCE][0].startswith("Explore in order [06a5866f4167] seed, born 0")


def test_out_in_and_no_difference(procmem, tmp_path):
    out, pool = tmp_path / "skills", tmp_path / "pool.json"
    assert procmem("skills", "export", MATRIX, out, "--source", SOURCE).code == 0
    assert procmem("skills", "import", out, "--out", pool).code == 0
    rows = json.loads(procmem("skills", "list", MATRIX, "--source", SOURCE, "--json").out)
    assert SkillPool.load(pool).ids == tuple(sorted(row["id"] for row in rows))
    sides = json.loads(procmem("skills", "diff", MATRIX, pool, "--first-source", SOURCE, "--json").out)
    assert (len(sides["both"]), sides["only first"], sides["only second"]) == (len(rows), [], [])
    assert json.loads(procmem("skills", "list", out, "--json").out)[0]["learner"] == str(out)
    assert read_skills(out)[0].origin["learner"] == SOURCE
    again = procmem("skills", "import", out, "--out", pool)
    assert (again.code, "nothing is overwritten" in again.err) == (1, True)


def test_of_several_learners_each_gets_a_folder(procmem, tmp_path):
    procmem("skills", "export", MATRIX, tmp_path / "all")
    assert (tmp_path / "all" / "obedient-Doors-v0-0" / "explore-in-order" / "SKILL.md").is_file()


def test_diff_says_what_changed(procmem, tmp_path):
    procmem("skills", "export", MATRIX, tmp_path / "a", "--source", SOURCE)
    procmem("skills", "export", MATRIX, tmp_path / "b", "--source", SOURCE)
    file = tmp_path / "b" / "explore-in-order" / "SKILL.md"
    file.write_text(file.read_text().replace("Try them", "Do not try them"))
    said = procmem("skills", "diff", tmp_path / "a", tmp_path / "b").out
    assert "- 06a5866f4167  Explore in order" in said
    assert "Do not try them" in said


def test_words_of_others_paint_nothing(procmem, tmp_path):
    folder = tmp_path / "loud"
    folder.mkdir()
    (folder / "SKILL.md").write_text('---\nname: loud\ndescription: "\\e[31m[bold]x"\n---\n\x1b[2J[red]go\n')
    for command in (("list",), ("show",), ("import",)):
        said = procmem("skills", *command, folder)
        assert said.code == 0, said.err
        assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("list", "/nowhere"), "is neither a run directory"),
        (("list", MATRIX, "--source", "x/y/0"), "nobody learned as 'x/y/0'"),
        (("list", ROOT / "examples", "--source", "x"), "is no run directory"),
        (("show", MATRIX, "nothing"), "holds no skill 'nothing'"),
        (("lineage", MATRIX, "nothing"), "no skill was ever called 'nothing'"),
        (("import", ROOT / "examples"), "holds no"),
        (("try", "/nowhere", "--agents", "scripted:random", "--tasks", "Doors-v0"), "there is no such folder"),
        (("try", "/nowhere", "--agents", "a.b:C", "--tasks", "Doors-v0"), "add --plugins"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(procmem, arguments, why):
    said = procmem("skills", *arguments)
    assert said.code == 1
    assert why in said.err
    assert "Traceback" not in said.err


def test_try_says_whom_it_helps_and_are_we_sure(procmem, tmp_path):
    folders = [lore(tmp_path, "right", RULE), lore(tmp_path, "wrong", INVERTED)]
    options = ("--agents", "scripted:obedient,r=scripted:random", "--tasks", "Doors-v0", "--seeds", 16)
    settings = ("--set", 'skills={embedder="lexical"}', "--set", "resamples=100", "--out", tmp_path / "runs")
    said = procmem("skills", "try", *folders, *options, *settings, "--json")
    assert said.code == 0, said.err
    verdicts = json.loads(said.out)["verdicts"]
    assert {(each["pool"], each["agent"]): each["verdict"] for each in verdicts if each["agent"]} == {
        ("right", "obedient"): "better",
        ("right", "r"): "undecided",
        ("wrong", "obedient"): "worse",
        ("wrong", "r"): "undecided",
    }
    table = procmem("skills", "try", *folders, *options, *settings).out  # the same run, which is finished
    assert "better" in table
    assert "This is a claim about this very pool" in " ".join(table.split())


def test_list_memories(procmem):
    assert "rag" in json.loads(procmem("list", "memories", "--json").out)
    assert "Synapse (2306.07863)" in procmem("list", "memories").out
