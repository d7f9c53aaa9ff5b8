"""`Turns`: of several models that do not fit into one memory, one is awake at a time."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

_log = logging.getLogger(__name__)

_LEAST_GRACE, _MOST_GRACE = 0.1, 5.0
"""Seconds for which the model that is awake must have been idle; a twentieth of what a change takes, within these."""


def grace(change: float) -> float:
    """Seconds of idleness before a turn ends, where a change takes `change` seconds."""
    return min(max(change / 20, _LEAST_GRACE), _MOST_GRACE)


class Resident(Protocol):
    """A model that can leave the memory and come back."""

    async def wake(self) -> None: ...
    async def rest(self) -> None: ...


class Turns:
    """Who asks a model that is not awake waits until the one that is has nothing to do.

    Work that needs the model that is awake is never made to wait, so that changes are as few as the work allows: with
    all episodes of one model ready at once, one change a model and phase.
    """

    def __init__(self, residents: Mapping[str, Resident]) -> None:
        self._residents = residents
        self._awake: str | None = None
        self._busy = 0
        self._uses = 0
        self._waiting: Counter[str] = Counter()
        self._changed = anyio.Condition()
        self._grace = grace(0.0)
        self.changes = 0

    @asynccontextmanager
    async def of(self, name: str) -> AsyncGenerator[None]:
        """Within it the model is awake."""
        async with self._changed:
            self._waiting[name] += 1
            try:
                self._changed.notify_all()
                while self._awake != name:
                    await self._changed.wait()
            finally:
                self._waiting[name] -= 1
                self._waiting += Counter()  # drops those that nobody waits for
            self._busy += 1
            self._uses += 1
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    async def keep(self) -> None:
        """Changes turns for as long as it runs. Raises what a model's waking or resting raises."""
        while True:
            async with self._changed:
                while not self._due():
                    await self._changed.wait()
                uses = self._uses
            await anyio.sleep(self._grace if self._awake else 0)
            if self._due() and self._uses == uses:
                await self._change(next(iter(self._waiting)))

    def _due(self) -> bool:
        return self._busy == 0 and bool(self._waiting) and self._awake not in self._waiting

    async def _change(self, name: str) -> None:
        began, last = time.monotonic(), self._awake
        self._awake = None
        if last is not None:
            await self._residents[last].rest()
        await self._residents[name].wake()
        took = time.monotonic() - began
        self._grace = grace(took)
        self.changes += 1
        _log.info("%s has its turn%s (change %d, %.1f s)", name, f" after {last}" if last else "", self.changes, took)
        async with self._changed:
            self._awake = name
            self._changed.notify_all()
