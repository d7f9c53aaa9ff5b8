"""`study.json`: what a run was begun with. Written once, before anything is played, and never changed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import from_json

from testbed.config.reading.load import parse_study
from testbed.config.study import ConfigError, StudyConfig
from testbed.records import disk
from testbed.records.append_only import StoreError, complete_lines
from testbed.records.lines import first_problem
from testbed.records.side_files.manifest import SEALED, STUDY
from testbed.records.side_files.versions import Versions

FORMAT = 1
"""Version of the run directory's layout."""


class StudyRecord(BaseModel):
    """`study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    digest: str
    config: Mapping[str, Any]
    versions: Versions
    date: str = ""
    """The day (ISO 8601) that dated chat templates print throughout this run; "" in runs of before there was one."""

    @field_validator("date")
    @classmethod
    def _is_day(cls, day: str) -> str:
        return day and datetime.date.fromisoformat(day).isoformat()


class StudyFile:
    """The `study.json` of one run directory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STUDY

    def write(self, config: StudyConfig, versions: Versions, date: str) -> None:
        """Raises OSError."""
        content = config.model_dump(mode="json")
        record = StudyRecord(format=FORMAT, digest=config.digest, config=content, versions=versions, date=date)
        disk.write_atomically(self.path, record.model_dump_json(indent=1) + "\n")

    def read(self) -> StudyRecord:
        """What it says.

        Raises StoreError for another layout, a broken file, or one that was changed after the run was begun.
        """
        study = self.recorded()
        try:
            digest = parse_study(study.config, str(self.path)).digest
        except ConfigError:
            return study  # of another version of this program: `RunDirectory.config` says what does not fit
        if digest != study.digest:
            raise StoreError(
                f"{self.path}: was changed after the run was begun (its content has the digest {digest}, it says "
                f"{study.digest}); restore it, and change the study in its own file, which makes another run"
            )
        return study

    def recorded(self) -> StudyRecord:
        """The file as it is, also where its content is not that of its digest. Raises StoreError as `read`."""
        try:
            content: Any = from_json(self.path.read_bytes())
        except (OSError, ValueError) as error:
            remedy = "restore it from a copy" if self._lines_follow() else "the same `procmem run` writes it anew"
            raise StoreError(f"{self.path}: cannot be read: {error}; {remedy}") from None
        layout = content.get("format") if isinstance(content, dict) else None
        if layout != FORMAT:
            raise StoreError(
                f"{self.path.parent}: its layout is {layout}, this version's is {FORMAT}; choose another --out"
            )
        try:
            return StudyRecord.model_validate(content)
        except ValidationError as error:
            raise StoreError(f"{self.path}: is broken: {first_problem(error)}; choose another --out") from None

    def has_begun(self) -> bool:
        """Whether there is a file to go by: an empty or torn one, before anything was stored, is none."""
        try:
            from_json(self.path.read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            return self._lines_follow()
        return True

    def _lines_follow(self) -> bool:
        return any(True for file in SEALED for _ in complete_lines(self.path.parent / file))
