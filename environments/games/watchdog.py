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


_asked: list[tuple[str, float]] = []
"""Who is asked just now, and how many seconds it has; the innermost last."""


def listen() -> None:
    """From here on SIGALRM is for `watch`, whoever it was for before. Once is enough: installing a handler takes many
    times as long as setting the timer does, which is done twice for each answer."""
    if _may_ring():
        signal.signal(signal.SIGALRM, _ring)


@contextmanager
def watch(who: str, seconds: float) -> Generator[None]:
    """Raises TooLate inside the block when it has taken `seconds` of wall time, and every second from then on; after
    `listen`.

    An alarm signal reaches Python code and system calls that wait, in the main thread. In other threads nothing is
    watched, nor is code in C that never returns to Python: a game that may hang there belongs in a process of its own.
    """
    if not _may_ring():
        yield
        return
    _asked.append((who, seconds))
    outer = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        _asked.pop()
        if _asked:
            signal.setitimer(signal.ITIMER_REAL, *outer)


def _may_ring() -> bool:
    return threading.current_thread() is threading.main_thread()


def _ring(number: int, frame: FrameType | None) -> None:
    if _asked:
        who, seconds = _asked[-1]
        raise TooLate(f"{who} did not answer within {seconds:g} s")


class Watched(BaseWrapper[str, Any, Any]):
    """The environment of a spec, whose `reset`, `step` and `last` raise TooLate after the spec's patience."""

    def __init__(self, spec: EnvSpec) -> None:
        """Raises what `spec.make` raises, and TooLate where it does not come back."""
        self._who, self._seconds = spec.id, spec.patience
        listen()
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
