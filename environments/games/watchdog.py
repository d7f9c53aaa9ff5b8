"""`Watched`: an environment that has so many seconds for each answer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pettingzoo.utils import BaseWrapper

from environments.games.game import GameError
from environments.spec import EnvSpec


class TooLate(GameError):
    """A game did not answer in time."""


@contextmanager
def watch(who: str, seconds: float) -> Generator[None]:
    """Raises TooLate inside the block when it has taken `seconds` of wall time, and every second from then on.

    An alarm signal reaches Python code and system calls that wait, in the main thread. In other threads nothing is
    watched, nor is code in C that never returns to Python: a game that may hang there belongs in a process of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLate(f"{who} did not answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


class Watched(BaseWrapper[str, Any, Any]):
    """The environment of a spec, whose `reset`, `step` and `last` raise TooLate after the spec's patience."""

    def __init__(self, spec: EnvSpec) -> None:
        """Raises what `spec.make` raises, and TooLate where it does not come back."""
        self._who, self._seconds = spec.id, spec.patience
        with watch(f"{spec.id}: make()", spec.patience):
            super().__init__(spec.make())

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        with watch(f"{self._who}: reset", self._seconds):
            super().reset(seed=seed, options=options)

    def step(self, action: Any) -> None:
        with watch(f"{self._who}: the action {action!r:.100}", self._seconds):
            super().step(action)

    def last(self, observe: bool = True) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        with watch(f"{self._who}: an observation", self._seconds):
            return self.env.last(observe)
