"""A folder of skills, written."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from agents.skill import Skill
from transfer.skill_files.front_matter import SkillFileError
from transfer.skill_files.read import SKILL_MD
from transfer.skill_files.skill_file import LONGEST_NAME, SkillFile, folder_name


def as_files(skills: Iterable[Skill], origins: Mapping[str, Mapping[str, str]] = {}) -> list[SkillFile]:
    """Each skill as a file under its own name. `origins`: where each comes from, by its id."""
    return [SkillFile(folder_name(skill), skill, origin=origins.get(skill.id, {})) for skill in skills]


def write_skills(files: Iterable[SkillFile], out: Path) -> list[Path]:
    """Write a folder for each skill into `out`; their paths. All of them or none.

    Skills of one name are told apart by their ids. Raises SkillFileError where one of the folders is there already.
    """
    distinct = _distinct(files)
    texts = {out / file.name: file.render() for file in distinct}
    for path in texts:
        if os.path.lexists(path):
            raise SkillFileError(f"{path} is there already, and nothing is overwritten; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    stage = Path(mkdtemp(prefix=".procmem-", dir=out))
    try:
        for path, text in texts.items():
            (stage / path.name).mkdir()
            (stage / path.name / SKILL_MD).write_text(text, encoding="utf-8", newline="\n")
        for path in texts:
            (stage / path.name).rename(path)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return list(texts)


def _distinct(files: Iterable[SkillFile]) -> list[SkillFile]:
    files = sorted(files, key=lambda file: (file.name, file.skill.id))
    names = Counter(file.name for file in files)
    return [file if names[file.name] == 1 else replace(file, name=_numbered(file)) for file in files]


def _numbered(file: SkillFile) -> str:
    return f"{file.name[: LONGEST_NAME - 13].strip('-')}-{file.skill.id}"
