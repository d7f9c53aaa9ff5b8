"""`Interruption`: Ctrl-C and SIGTERM end a command in order; a second one ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType, TracebackType
from typing import TypeVar

import anyio

T = TypeVar("T")

RESUME = 75
"""Exit code of a run that the same command can go on with: EX_TEMPFAIL of sysexits.h."""

_SHOW_CURSOR = "\x1b[?25h"


class Interruption:
    """While entered, the first SIGINT or SIGTERM ends the work under way as KeyboardInterrupt, after its clean-up.

    `sentence` is what a second one leaves behind, which does not wait for that.
    """

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        self._number: int | None = None
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Interruption:
        self._handlers = {number: signal.signal(number, self._arrived) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def code(self) -> int:
        """What the command should exit with: 130 after Ctrl-C, RESUME after SIGTERM."""
        return RESUME if self._number == signal.SIGTERM else 130

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """`work` to its end, in an event loop of its own. Raises KeyboardInterrupt where a signal cancelled it."""
        done: list[T] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            with anyio.CancelScope() as scope:
                self._cancel = lambda: loop.call_soon_threadsafe(scope.cancel)
                done.append(await work())

        try:
            anyio.run(main)
        finally:
            self._cancel = None
        if not done:
            raise KeyboardInterrupt
        return done[0]

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
            os.write(2, f"{cursor}\n{self._sentence}\n".encode())
            os._exit(self.code)
        self._number = number
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()
