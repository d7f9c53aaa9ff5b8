"""`SkillPool`: the skills an agent holds, at most K of them, as an immutable value with a digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agents.guide import Guide
from agents.skill import AS_WRITTEN, Skill
from transfer.memory.memory import Seat, Unit

FORMAT = "procmem skill pool"
VERSION = 1


class PoolError(ValueError):
    """A pool cannot be made or read; one sentence that names the file or skill and the remedy."""


class PoolFull(PoolError):
    """A skill more than the pool's capacity."""


class SkillPool(BaseModel):
    """Ω = {ω¹ … ω^K} (paper section 3). Every change returns a new pool; the old one stays what it was.

    Skills stand in the order of their ids, so that a pool does not depend on the order of its admissions.
    Raises PoolFull (from `of`, `add`, `replace`) rather than ever holding more than `capacity` skills.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    skills: tuple[Skill, ...] = ()
    capacity: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _canonical(self) -> SkillPool:
        ids = [skill.id for skill in self.skills]
        if len(set(ids)) != len(ids):
            raise ValueError("the same skill stands in it twice")
        if len(ids) > self.capacity:
            raise ValueError(f"it holds {len(ids)} skills but its capacity is {self.capacity}")
        if ids != sorted(ids):
            object.__setattr__(self, "skills", tuple(sorted(self.skills, key=lambda skill: skill.id)))
        return self

    @classmethod
    def of(cls, skills: Iterable[Skill], capacity: int = 10) -> SkillPool:
        """The pool of these skills; one that comes twice counts once."""
        distinct = {skill.id: skill for skill in skills}
        if len(distinct) > capacity:
            raise PoolFull(f"{len(distinct)} skills do not fit into a pool of {capacity}: raise pool_size or drop some")
        return cls(skills=tuple(distinct.values()), capacity=capacity)

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of its capacity and its skills' ids."""
        return self.content_digest

    @cached_property
    def content_digest(self) -> str:
        content = json.dumps([self.capacity, self.ids])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(skill.id for skill in self.skills)

    @property
    def units(self) -> tuple[Unit, ...]:
        """A unit per skill, as the protocol of memories has it."""
        return tuple(
            Unit(
                kind="skill", text=skill.text, key=skill.activation, name=skill.name, parents=skill.parents, id=skill.id
            )
            for skill in self.skills
        )

    @property
    def archive(self) -> tuple[str, ...]:
        """Nothing: its learner's evidence stands in the learner's state."""
        return ()

    def guide(self, seat: Seat) -> Guide:
        """The option loop over its skills."""
        return seat.options(self.skills)

    def __len__(self) -> int:
        return len(self.skills)

    def __contains__(self, skill_id: object) -> bool:
        return skill_id in self.ids

    def each(self) -> Iterator[Skill]:
        return iter(self.skills)

    def get(self, skill_id: str) -> Skill:
        """Raises PoolError when no skill of the pool has this id."""
        for skill in self.skills:
            if skill.id == skill_id:
                return skill
        raise PoolError(f"pool {self.digest} holds no skill {skill_id}")

    def add(self, skill: Skill) -> SkillPool:
        """A skill that is already there changes nothing."""
        return self if skill.id in self else SkillPool.of((*self.skills, skill), self.capacity)

    def remove(self, skill_id: str) -> SkillPool:
        self.get(skill_id)
        return SkillPool.of((skill for skill in self.skills if skill.id != skill_id), self.capacity)

    def replace(self, skill_id: str, skill: Skill) -> SkillPool:
        return self.remove(skill_id).add(skill)

    def dumps(self) -> str:
        """Canonical JSON: the same pool is the same text."""
        skills = [skill.model_dump(mode="json") for skill in self.skills]
        document = {"format": FORMAT, "version": VERSION, "digest": self.digest, "capacity": self.capacity}
        return json.dumps(document | {"skills": skills}, sort_keys=True, indent=1, ensure_ascii=False) + "\n"

    def save(self, folder: Path) -> Path:
        """Write `<digest>.json` into `folder`, whole or not at all."""
        path = folder / f"{self.digest}.json"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(self.dumps(), encoding="utf-8")
            partial.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> SkillPool:
        """Read a pool file. Raises PoolError, in one sentence, for anything that is not one."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise PoolError(f"cannot read skill pool {path}: {error}; give the path of a pools/<digest>.json") from None
        return cls.loads(text, str(path))

    @classmethod
    def loads(cls, text: str, place: str = "this text") -> SkillPool:
        """What `dumps` wrote. `place` names the source in errors. Raises PoolError."""
        document = _document(parse_document(text, place), place)
        try:
            content = {"skills": document.get("skills"), "capacity": document.get("capacity")}
            pool = cls.model_validate(content, context=AS_WRITTEN)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "skills"
            raise PoolError(f"{place} is not a usable skill pool: at {where}, {first['msg']}") from None
        if document.get("digest") != pool.digest:
            raise PoolError(f"{place} was changed after it was written: its content is not that of its digest")
        return pool


def parse_document(text: str, place: str) -> dict[str, Any]:
    """The JSON object that a pool or a memory is written as. Raises PoolError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PoolError(f"{place} is not JSON, so it is no skill pool: {error}") from None
    if not isinstance(document, dict):
        raise PoolError(f"{place} is not a skill pool: it holds no JSON object")
    return cast("dict[str, Any]", document)


def _document(known: dict[str, Any], place: str) -> dict[str, Any]:
    """The same, where it is a pool file of this version. Raises PoolError."""
    if known.get("format") != FORMAT:
        raise PoolError(f'{place} is not a skill pool: its "format" is not "{FORMAT}"')
    if known.get("version") != VERSION:
        raise PoolError(
            f"{place} is a skill pool of version {_short(known.get('version'))}; this program reads {VERSION}"
        )
    return known


def _short(value: object) -> str:
    return (
        repr(value) if isinstance(value, int) and abs(value) < 1_000_000 else f"another kind ({type(value).__name__})"
    )
