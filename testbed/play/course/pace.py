"""`Pace`: how long a study still takes, from what its episodes and its learners' steps have taken so far."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import Literal, NamedTuple

Kind = Literal["learn", "evaluate", "step", "influence"]
EXCHANGE = "exchange"
"""Who thinks when a population exchanges skills: no learner, and no step of one."""
INFLUENCE = "influence"
"""Who thinks when it is measured what the memories of a cell have changed: a part of the study by itself."""
KINDS: tuple[Kind, ...] = ("learn", "evaluate", "step", "influence")


def kind_of(phase: str) -> Kind:
    """What an episode counts as: a league is played to evaluate, too."""
    return "learn" if phase == "learn" else "evaluate"


def kind_of_thought(who: str) -> Kind | None:
    """What it counts as that somebody thinks; None for nothing."""
    if who == EXCHANGE:
        return None
    return "influence" if who == INFLUENCE else "step"


class Left(NamedTuple):
    """The time to come."""

    seconds: float
    at_least: bool
    """True where something to come has not been measured yet and is taken to be as short as what was."""


class Pace:
    """Counts what is done of a study and measures how long it takes.

    By Little's law work comes to its end at the rate (how much is under way at once) ÷ (how long each takes); both are
    means since `begins`, so that the time left holds at any concurrency and with any share of slow steps.
    """

    def __init__(self, learning: int, evaluation: int, steps: int, influence: int = 0) -> None:
        """Episodes to learn from and to evaluate by, learners' steps, and cells whose memories' influence is measured,
        of the whole study."""
        self.total: dict[Kind, int] = {
            "learn": learning,
            "evaluate": evaluation,
            "step": steps,
            "influence": influence,
        }
        self.done: Counter[Kind] = Counter()
        self._measured: Counter[Kind] = Counter()
        self._busy: defaultdict[Kind, float] = defaultdict(float)
        self._open: dict[Hashable, tuple[Kind, float]] = {}
        self._began: float | None = None

    def begins(self) -> None:
        """What was counted so far was there before. Learners' steps among it follow from their episodes."""
        if learning := self.total["learn"]:
            self.done["step"] = self.done["learn"] * self.total["step"] // learning
        self._began = time.monotonic()

    def starts(self, kind: Kind, what: Hashable) -> None:
        self._open[what] = kind, time.monotonic()

    def ends(self, kind: Kind, what: Hashable, *, good: bool = True) -> None:
        """`good`: it need not be done again. What was never started was there before."""
        started = self._open.pop(what, None)
        self.done[kind] += good
        if started is not None and good:
            self._measured[kind] += 1
        if started is not None:
            self._busy[kind] += time.monotonic() - started[1]

    @property
    def completed(self) -> float:
        """Parts of the study that are done; of those under way, the share of the time that they take at most likely."""
        now = time.monotonic()
        under_way = 0.0
        for kind, since in self._open.values():
            if usual := self._mean(kind):
                under_way += min(0.9, (now - since) / usual)
        return self.done.total() + under_way

    @property
    def left(self) -> Left | None:
        """None while nothing has been measured."""
        now = time.monotonic()
        if self._began is None or not self._measured or now <= self._began:
            return None
        under_way = sum(now - since for _, since in self._open.values())
        at_once = (sum(self._busy.values()) + under_way) / (now - self._began)
        work = self._work_to_come(now)
        unmeasured = any(self._to_come(kind) and not self._measured[kind] for kind in KINDS)
        return Left(work / at_once if at_once > 0 else 0.0, unmeasured)

    def _work_to_come(self, now: float) -> float:
        """Seconds of all that is to come, one after the other, without what has passed of that under way."""
        known = [mean for kind in KINDS if (mean := self._mean(kind)) is not None]
        usual = sum(known) / len(known)
        work = 0.0
        for kind in KINDS:
            mean = self._mean(kind)
            open_for = [now - since for each, since in self._open.values() if each == kind]
            each = max([usual, *open_for]) if mean is None else mean
            work += max(0.0, self._to_come(kind) * each - sum(min(each, passed) for passed in open_for))
        return work

    def _to_come(self, kind: Kind) -> int:
        return max(0, self.total[kind] - self.done[kind])

    def _mean(self, kind: Kind) -> float | None:
        return self._busy[kind] / self._measured[kind] if self._measured[kind] else None
