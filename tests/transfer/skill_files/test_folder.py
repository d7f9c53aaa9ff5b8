"""Folders of SKILL.md files: written, read, refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.skill import Skill
from transfer.memory.pool import PoolError, SkillPool
from transfer.memory.seed_pool import seed_pool
from transfer.skill_files import pool_file
from transfer.skill_files.front_matter import SkillFileError
from transfer.skill_files.read import as_pool, is_skill_folder, left_alone, read_skills
from transfer.skill_files.skill_file import SkillFile
from transfer.skill_files.write import as_files, write_skills

MINIMAL = "---\nname: {name}\ndescription: When doors are shut\n---\nOpen {name}.\n"


def put(folder: Path, text: str | bytes | None = None) -> Path:
    folder.mkdir(parents=True)
    content = MINIMAL.format(name=folder.name) if text is None else text
    (folder / "SKILL.md").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_pool_that_leaves_comes_back(tmp_path):
    pool = seed_pool(8)
    written = write_skills(as_files(pool.each(), {pool.ids[0]: {"score": "0.25"}}), tmp_path / "out")
    files = read_skills(tmp_path / "out")
    assert as_pool(files).ids == pool.ids
    assert len(written) == len(pool)
    assert {file.skill.id: file.origin for file in files}[pool.ids[0]] == {"score": "0.25"}
    assert is_skill_folder(tmp_path / "out")
    assert not is_skill_folder(tmp_path)


def test_two_skills_of_one_name_get_two_folders(tmp_path):
    twins = [Skill(name="Open", activation="a", procedure=text, termination="t") for text in "xy"]
    paths = write_skills(as_files(twins), tmp_path)
    assert sorted(path.name for path in paths) == sorted(f"open-{twin.id}" for twin in twins)
    assert as_pool(read_skills(tmp_path)).ids == SkillPool.of(twins).ids


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    skills = [Skill(name=name, activation="a", procedure="p", termination="t") for name in ("one", "two")]
    put(tmp_path / "two")
    with pytest.raises(SkillFileError, match="is there already"):
        write_skills(as_files(skills), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_one_skill_alone_and_what_lies_beside_it(tmp_path, monkeypatch):
    folder = put(tmp_path / "alone")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run.py").write_text("raise SystemExit('run')")
    (tmp_path / "README.md").write_text("not a skill")
    (tmp_path / ".git").mkdir()
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **more: (opened.append(str(path)), real(path, *rest, **more))[1]
    )
    (file,) = read_skills(folder)
    assert file.skill.name == "alone"
    assert read_skills(tmp_path) == (file,)
    assert left_alone(folder) == left_alone(tmp_path) == 1
    assert {Path(path).name for path in opened} == {"SKILL.md"}
    monkeypatch.chdir(folder)
    assert read_skills(Path()) == (file,)


def test_what_others_said_is_kept_in_the_pool_file(tmp_path):
    put(tmp_path / "in" / "a", "---\nname: a\ndescription: d\nlicense: MIT\nmetadata: {author: me}\n---\nDo it.\n")
    files = read_skills(tmp_path / "in")
    path = tmp_path / "pool.json"
    path.write_text(pool_file.dumps(files))
    pool, back = pool_file.load(path)
    assert back == files
    assert pool == SkillPool.load(path) == as_pool(files)
    write_skills(back, tmp_path / "out")
    assert read_skills(tmp_path / "out")[0].fields == files[0].fields


def test_a_damaged_pool_file_is_one_sentence(tmp_path):
    path = tmp_path / "pool.json"
    text = pool_file.dumps([SkillFile("a", Skill(name="a", activation="a", procedure="p", termination="t"))])
    path.write_text(text.replace('"name": "a"', '"nom": "a"'))
    with pytest.raises(PoolError):
        pool_file.load(path)


def _linked_file(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "secret").write_text(MINIMAL.format(name="a"))
    (folder / "a" / "SKILL.md").symlink_to(folder / "secret")


def _linked_folder(folder: Path) -> None:
    put(folder.parent / "elsewhere")
    (folder / "elsewhere").symlink_to(folder.parent / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "a").mkdir()
    os.mkfifo(folder / "a" / "SKILL.md")


def _folder_for_a_file(folder: Path) -> None:
    (folder / "a" / "SKILL.md").mkdir(parents=True)


def _same_twice(folder: Path) -> None:
    skill = Skill(name="Open", activation="a", procedure="p", termination="t")
    for name in ("a", "b"):
        put(folder / name, SkillFile(name, skill).render())


def _many_large(folder: Path) -> None:
    for number in range(11):
        body = f"---\nname: s{number}\ndescription: d{number}\n---\nx\n<!--"
        put(folder / f"s{number}", body.encode() + b" " * (1_048_576 - len(body) - 4) + b"\n")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_linked_file, "it is a link"),
        (_linked_folder, "is a link to another folder"),
        (_pipe, "no plain file"),
        (_folder_for_a_file, "no plain file"),
        (_same_twice, "are the same skill"),
        (_many_large, "larger than 10 MiB in all|has .* characters"),
        (lambda folder: put(folder / "a", b"\xff\xfe-\x00-\x00"), "not UTF-8"),
        (lambda folder: put(folder / "a", b"x" * 10_000_000), "larger than 1 MiB"),
        (lambda folder: (folder / "a").mkdir(), "holds no SKILL.md; add one"),
        (lambda folder: put(folder / "of-a-source" / "a", MINIMAL.format(name="a")), "so name it in place of"),
        (lambda folder: put(folder / "a", MINIMAL.format(name="b")), "lies in 'a'"),
        (lambda folder: None, "holds no skill"),
        (lambda folder: folder.rmdir(), "no such folder"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_one_sentence(tmp_path, make, why):
    folder = tmp_path / "skills"
    folder.mkdir()
    make(folder)
    with pytest.raises(SkillFileError, match=why) as error:
        read_skills(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)
