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

ServerWord = Literal["not asked", "answers", "fails", "asleep"]
"""By its last try; a fleet's server is asleep while another model has its turn."""
State = Literal["running", "finished", "spent", "interrupted", "stopped"]


class UnderWay(BaseModel):
    """An episode that is being played, or a learner that thinks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    since: datetime


class ServerState(BaseModel):
    """How a server has answered this process, and what the run's fleet did with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    state: ServerWord
    in_flight: int = 0
    """Requests."""
    answered: int = 0
    failed: int = 0
    """Tries that were, or will be, made again."""
    paused: int = 0
    """Those of them with which it asked to be left alone (429, 503)."""
    paused_seconds: float = 0.0
    """What it asked for, summed."""
    tokens: int = 0
    """Written."""
    tokens_per_second: float | None = None
    """Over the last half minute; None before there is one to measure."""
    error: str = ""
    """The last one, also where it answers again."""
    error_at: datetime | None = None
    starts: int | None = None
    """Of the server by this run; None for one that somebody else started."""
    restarts: int | None = None
    """Those after it had died."""


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
    servers: Mapping[str, ServerState] = {}
    """By address."""

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
