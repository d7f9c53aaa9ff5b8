"""`Budget`: what a command may spend on its study. Where a limit is reached, nothing new is begun.

Episodes under way are finished, and whoever has all episodes of its iteration learns from them and commits that; then
the study ends. So nothing that was paid for is lost, and the same command goes on with its limits anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Never

import anyio

from agents.models.adapters.metered import Charge, charging
from testbed.play.course.prices import Prices
from testbed.records.side_files.accounts import AccountBook

_BEGUN: ContextVar[bool] = ContextVar("within something that is to be finished", default=False)


class BudgetSpent(RuntimeError):
    """A limit was reached, and all that had begun is finished and stored; one sentence."""


@dataclass(frozen=True)
class Limits:
    """Of one command; None for no limit."""

    tokens: int | None = None
    """Prompts read, completions written and utterances scored, whoever asked."""
    hours: float | None = None
    """Of wall time, loading models not counted."""
    cost: float | None = None
    """In the money of the prices."""


UNLIMITED = Limits()
FREE = Prices()


class Budget:
    """What is spent, kept in the run's accounts, and whether more may be begun."""

    def __init__(self, book: AccountBook | None = None, limits: Limits = UNLIMITED, prices: Prices = FREE) -> None:
        self.book = book or AccountBook()
        self.prices = prices
        self._limits = limits
        self._began = time.monotonic()
        self._working = 0
        self._idle = anyio.Event()
        self._ended = False

    @property
    def reached(self) -> str | None:
        """The limit that is reached, and what was spent; None while there is none."""
        limits = self._limits
        if limits.hours is not None and self.hours >= limits.hours:
            return f"--max-hours {limits.hours:g} is reached ({self.hours:.2f} hours)"
        if limits.tokens is not None and (tokens := self.book.now.total.tokens) >= limits.tokens:
            return f"--max-tokens {limits.tokens} is reached ({tokens:,} tokens)"
        if limits.cost is not None and (cost := self.prices.cost(self.book.now.posts, self.hours)) >= limits.cost:
            return f"--max-cost {limits.cost:g} is reached ({cost:.2f})"
        return None

    @property
    def hours(self) -> float:
        """Since the study was begun or resumed."""
        return (time.monotonic() - self._began) / 3600

    @property
    def may_begin(self) -> bool:
        """Whether an episode may be begun: within a `step` always."""
        return _BEGUN.get() or self.reached is None

    @contextmanager
    def episode(self, tell: Callable[[Charge], None]) -> Generator[None]:
        """An episode while it is played; each charge is told."""
        with self._at_work(), charging(tell):
            yield

    @contextmanager
    def step(self, tell: Callable[[Charge], None]) -> Generator[None]:
        """What is to be finished once it has begun, such as learning up to its commit, with episodes of its own.

        Raises BudgetSpent where the study has ended meanwhile.
        """
        if self._ended:
            raise self._spent
        token = _BEGUN.set(True)
        try:
            with self._at_work(), charging(tell):
                yield
        finally:
            _BEGUN.reset(token)

    async def end(self) -> Never:
        """Raises BudgetSpent when nothing is under way any more."""
        while self._working:
            await self._idle.wait()
        self._ended = True
        raise self._spent

    @property
    def _spent(self) -> BudgetSpent:
        return BudgetSpent(
            f"{self.reached}. Everything that had begun is finished and stored; the same command goes on."
        )

    @contextmanager
    def _at_work(self) -> Generator[None]:
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()
                self._idle = anyio.Event()
