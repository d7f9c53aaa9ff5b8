"""How far a computation of likelihoods has come, for whoever listens: one of a whole gate may take minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

Tell = Callable[[int, int], None]
"""Told how much is done, of how much in all: in tokens in process, in requests over HTTP."""

_LISTENER: ContextVar[Tell | None] = ContextVar("who is told of likelihoods", default=None)


@contextmanager
def listening(tell: Tell) -> Generator[None]:
    """What is scored within, also by tasks begun within, is told."""
    token = _LISTENER.set(tell)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def listener() -> Tell:
    """Whoever listens here, to be told in this event loop from any thread; nobody where nobody does."""
    tell = _LISTENER.get()
    if tell is None:
        return nobody
    loop = asyncio.get_running_loop()

    def across(done: int, whole: int) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
            loop.call_soon_threadsafe(tell, done, whole)

    return across


def nobody(done: int, whole: int) -> None:
    pass
