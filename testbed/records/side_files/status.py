"""`status.json`: what a run is doing, written anew every few seconds by the process that runs it.

For those who watch, also from another machine by a shared disk. No result depends on it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

NAME = "status.json"
EVERY = 2.0
"""Seconds from one time to the next."""
SILENT = 15.0
"""Seconds without a word after which a run that says it is running is taken for dead, or cut off."""
LARGEST = 1 << 20

State = Literal["running", "finished", "spent", "interrupted", "stopped"]


class UnderWay(BaseModel):
    """An episode that is being played, or a learner that thinks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    since: datetime


class Status(BaseModel):
    """What is going on now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    why: str = ""
    """What ended it, where it has ended."""
    at: datetime
    began: datetime
    """This process, not the study."""
    host: str
    process: int
    planned: int
    finished: int
    failed: int
    """Episodes that failed and have not been made good."""
    steps: int = 0
    """Learners' steps of the whole study."""
    steps_done: int = 0
    left: float | None = None
    """Seconds to the end of the study, at the speed so far."""
    left_at_least: bool = False
    """True where something still to come has not been measured yet."""
    playing: tuple[UnderWay, ...] = ()
    thinking: tuple[UnderWay, ...] = ()
    scoring: tuple[int, int] | None = None
    """Tokens done and in all of the likelihoods that are being computed."""
    servers: Mapping[str, str] = {}
    """By address, how it is."""

    @property
    def silent(self) -> float:
        """Seconds since it was written, by this machine's clock."""
        return max(0.0, (datetime.now(UTC) - self.at).total_seconds())


def write_status(run: Path, status: Status) -> None:
    """Whole or not at all for whoever reads; not synced to the disk. Raises OSError."""
    partial = run / f".{NAME}.{os.getpid()}.partial"
    try:
        partial.write_text(status.model_dump_json(), encoding="utf-8")
        partial.replace(run / NAME)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_status(run: Path) -> Status | None:
    """None where there is none, or none that can be read."""
    try:
        with (run / NAME).open("rb") as stream:
            return Status.model_validate_json(stream.read(LARGEST))
    except (OSError, ValidationError):
        return None
