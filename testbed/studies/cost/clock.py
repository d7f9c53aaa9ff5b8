"""A clock for discrete-event simulations, and processes that live by it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

Then = Callable[[], None]


class Wait(Protocol):
    """Something that takes until it is over; `then` is called when it is."""

    def begin(self, clock: Clock, then: Then) -> None: ...


Process = Generator[Wait, Any, None]
"""What happens one after the other."""


class Clock:
    """`now` in seconds; what is planned happens in order of time, at one time in order of planning."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Then]] = []
        self._count = 0

    def after(self, seconds: float, then: Then) -> None:
        self._count += 1
        heapq.heappush(self._planned, (self.now + seconds, self._count, then))

    def start(self, process: Process, then: Then = lambda: None) -> None:
        """Let it go on whenever what it waits for is over, to its end."""

        def go_on() -> None:
            try:
                wait = next(process)
            except StopIteration:
                then()
                return
            wait.begin(self, lambda: self.after(0.0, go_on))

        self.after(0.0, go_on)

    def run(self) -> float:
        """The time at which nothing is planned any more."""
        while self._planned:
            self.now, _, then = heapq.heappop(self._planned)
            then()
        return self.now


class Together:
    """Several processes at once, to the end of the last."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self._processes = list(processes)

    def begin(self, clock: Clock, then: Then) -> None:
        left = len(self._processes)
        if not left:
            then()

        def ended() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        for process in self._processes:
            clock.start(process, ended)


class Places:
    """A number of places: to wait for it is to wait for one, first come, first served."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[Then] = deque()

    def begin(self, clock: Clock, then: Then) -> None:
        if self._free:
            self._free -= 1
            then()
        else:
            self._waiting.append(then)

    def leave(self) -> None:
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._free += 1
