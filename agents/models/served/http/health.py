"""`Health`: how one server has answered so far."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agents.models.served.answers.completion import read_written
from agents.models.served.http.api_key import redact
from agents.models.served.http.failure import Reply, TryFailed

LONGEST = 200
"""Characters of an error that are kept."""


@dataclass(slots=True)
class Health:
    """Counts of one server's tries, each of which is a request, or the repetition of one that failed."""

    in_flight: int = 0
    answered: int = 0
    failed: int = 0
    """Tries that are made again, here or elsewhere."""
    paused: int = 0
    """Those of them with which it asked to be left alone (429, 503)."""
    paused_seconds: float = 0.0
    """What it asked for, summed."""
    written: int = 0
    """Tokens."""
    error: str = ""
    """The last one; it stays when the server answers again."""
    error_at: float | None = None
    """Seconds since 1970."""
    well: bool | None = None
    """Whether the last try was answered; None before the first."""

    def succeed(self, reply: Reply) -> None:
        self.answered += 1
        self.written += read_written(reply.body)
        self.well = True

    def fail(self, failure: TryFailed) -> None:
        self.failed += 1
        self.paused += failure.pause is not None
        self.paused_seconds += failure.pause or 0.0
        self.error, self.error_at = redact(failure.reason)[:LONGEST], time.time()
        self.well = False
