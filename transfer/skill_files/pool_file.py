"""A pool's JSON file that also keeps what the SKILL.md files of its skills said beside the skills."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transfer.memory.pool import PoolError, SkillPool
from transfer.skill_files.read import as_pool
from transfer.skill_files.skill_file import LONGEST_NAME, NAME, SkillFile, folder_name

BESIDE = "skill_files"
"""The key, by skill id; a pool that is read for its skills alone passes over it."""


class _Beside(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$", max_length=LONGEST_NAME)]
    fields: Mapping[str, Any] = {}
    origin: Mapping[str, str] = {}


def dumps(files: Sequence[SkillFile]) -> str:
    """A pool file that `SkillPool.load` reads, too."""
    document = json.loads(as_pool(tuple(files)).dumps())
    beside = {file.skill.id: {"name": file.name, "fields": file.fields, "origin": file.origin} for file in files}
    return json.dumps(document | {BESIDE: beside}, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> tuple[SkillPool, tuple[SkillFile, ...]]:
    """The pool, and each of its skills as a file, with what `dumps` kept. Raises PoolError."""
    pool = SkillPool.load(path)
    beside = json.loads(path.read_text(encoding="utf-8")).get(BESIDE, {})
    try:
        known = {id: _Beside.model_validate(each) for id, each in beside.items()}
    except (ValidationError, AttributeError):
        raise PoolError(f"{path}: what it keeps under {BESIDE!r} is damaged; import the folder again") from None
    files: list[SkillFile] = []
    for skill in pool.each():
        said = known.get(skill.id) or _Beside(name=folder_name(skill))
        files.append(SkillFile(said.name, skill, said.fields, said.origin))
    return pool, tuple(files)
