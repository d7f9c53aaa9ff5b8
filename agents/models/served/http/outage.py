"""Waiting until an outage is over: how long before the next try, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.models.served.http.failure import TryFailed

_LONGEST = 15.0
"""Seconds at most between two tries, beside what the server asks for."""


def backoff(tries: int) -> float:
    """Seconds until the next one after `tries` tries: different for each request, so that not all come back at once."""
    return random.uniform(0.0, min(0.5 * 2 ** min(tries, 10), _LONGEST))


class NoneAnswers(Exception):
    """One round of tries failed at every server; `failures` by address."""

    def __init__(self, failures: Mapping[str, TryFailed]) -> None:
        super().__init__("; ".join(f"{url} {failure.reason}" for url, failure in failures.items()))
        self.failures = failures

    @property
    def pause(self) -> float:
        """Seconds until the first server may be asked again."""
        return min((failure.pause or 0.0 for failure in self.failures.values()), default=0.0)


@dataclass
class Outage:
    """Since when (monotonic seconds) a group of servers has answered nobody; None while it answers."""

    since: float | None = None

    def begin(self) -> bool:
        """Note a failed round; whether it is the first."""
        first = self.since is None
        if first:
            self.since = time.monotonic()
        return first

    def end(self) -> None:
        self.since = None


@dataclass
class Patience:
    """One request's: at most `seconds` from its first failure, or from the beginning of an outage that others met."""

    seconds: float
    outage: Outage
    failing_since: float | None = field(default=None, init=False)
    timeouts: int = field(default=0, init=False)
    """How often the request was taken and not answered."""

    def pause(self, tries: int, asked: float) -> float | None:
        """Seconds until the next try after a failed one, at least those `asked` for; None where that comes too late."""
        now = time.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        began = min(self.failing_since, now if self.outage.since is None else self.outage.since)
        pause = asked + backoff(tries)
        return None if now + pause > began + self.seconds else pause

    @property
    def others_were_answered(self) -> bool:
        """Whether the servers answered somebody else while this request failed."""
        since = self.outage.since
        return self.failing_since is not None and (since is None or since > self.failing_since)
