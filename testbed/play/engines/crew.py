"""`Crew`: the workers that live, how many episodes each has in hand, and who takes over when one dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from testbed.play.course.failures import TRIES, EngineGone
from testbed.play.engines.cluster.address import EngineError
from testbed.play.engines.cluster.cluster import Cluster
from testbed.play.engines.messages import Failure

PULSE = 10.0
"""Seconds between two questions whether a worker is well."""
STARTS_WITHIN = 600.0
"""Seconds that a worker may take to load what the study needs."""
REPLACED_WITHIN = 120.0
"""Seconds for which a crew of nobody waits for somebody."""
ACCIDENTS = 2
"""Deaths of a trial's worker after which it is played alone: it may be what kills them."""
ALONE = TRIES - ACCIDENTS
"""Deaths of whoever plays it alone after which it is taken to be what kills them, and lost."""

_log = logging.getLogger(__name__)


class WorkerDied(RuntimeError):
    """A trial's worker died again and again, in the end while it played that trial alone."""


class Worker:
    """One actor and what it has in hand."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.in_hand = 0


class Crew:
    """Episodes go to whoever has the fewest. What a dead worker had in hand is played again by the others.

    An episode whose workers die is played by a *hermit*, a worker that plays one at a time.
    """

    def __init__(
        self, cluster: Cluster, hire: Callable[[], Any], hire_hermit: Callable[[], Any], program: str, patience: float
    ) -> None:
        """`hire` places one more worker's actor, `hire_hermit` one that finds room on a cluster that is full. Each must
        run this `program`, and answer within `patience` seconds whatever its games do."""
        self._cluster = cluster
        self._hire = hire
        self._hire_hermit = hire_hermit
        self._hermit: Worker | None = None
        self._hermitage = asyncio.Lock()
        self._program = program
        self._patience = patience
        self._workers: list[Worker] = []
        self._change = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        return len(self._workers)

    async def begin(self, size: int) -> None:
        """Raises EngineError where one of them cannot start."""
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await asyncio.gather(*(self._join(self._hire()) for _ in range(size)))
        except TimeoutError:
            raise EngineError(
                f"only {self.size} of {size} workers of Ray have started within {STARTS_WITHIN:g} s; `ray status` says "
                "what they wait for"
            ) from None

    async def play(self, *message: Any) -> bytes:
        """What the worker answers to `message`. Raises WorkerDied, and EngineGone where no worker is left."""
        for _ in range(ACCIDENTS):
            worker = await self._least_busy()
            try:
                worker.in_hand += 1
                return await worker.actor.play.remote(*message)
            except self._cluster.failures as error:
                self._bury(worker, error)
            finally:
                worker.in_hand -= 1
        return await self._play_alone(*message)

    async def _play_alone(self, *message: Any) -> bytes:
        async with self._hermitage:
            for _ in range(ALONE):
                try:
                    if self._hermit is None:
                        self._hermit = await self._settle()
                    return await self._hermit.actor.play.remote(*message)
                except self._cluster.failures as error:
                    _log.warning("a worker that played one episode alone is gone (%s)", type(error).__name__)
                    self._hermit = None
        raise WorkerDied(f"the process that played it died {ACCIDENTS + ALONE} times, in the end playing nothing else")

    async def _settle(self) -> Worker:
        hermit = Worker(self._hire_hermit())
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await self._check(hermit.actor)
        except TimeoutError:
            raise EngineGone(
                f"no worker of Ray has started within {STARTS_WITHIN:g} s; `ray status` says why"
            ) from None
        self._start(self._watch(hermit))
        return hermit

    async def _least_busy(self) -> Worker:
        async with self._change:
            try:
                async with asyncio.timeout(REPLACED_WITHIN):
                    await self._change.wait_for(lambda: self._workers)
            except TimeoutError:
                raise EngineGone(
                    "all workers of Ray are gone, and nobody takes their place; `ray status` says what is left"
                ) from None
            return min(self._workers, key=lambda worker: worker.in_hand)

    async def _join(self, actor: Any) -> None:
        await self._check(actor)
        worker = Worker(actor)
        async with self._change:
            self._workers.append(worker)
            self._change.notify_all()
        self._start(self._watch(worker))

    async def _check(self, actor: Any) -> None:
        """Wait until it has begun. Raises EngineError where it cannot, or is of another version."""
        answer: str = await actor.begin.remote()
        if answer.startswith("{"):
            raise EngineError(f"a worker of Ray cannot start: {Failure.model_validate_json(answer).text}")
        if answer != self._program:
            raise EngineError(
                f"a worker of Ray has procmem {answer}, not {self._program}; install the same on all machines"
            )

    async def _watch(self, worker: Worker) -> None:
        """Ends a worker that no longer answers: a game holds it, and all others in its hand wait."""
        while True:
            await asyncio.sleep(PULSE)
            try:
                async with asyncio.timeout(self._patience):
                    await worker.actor.pulse.remote()
            except TimeoutError:
                _log.warning("a worker did not answer within %g s, and is ended", self._patience)
                self._cluster.ray.kill(worker.actor)
                return
            except self._cluster.failures as error:
                self._bury(worker, error)
                return

    def _bury(self, worker: Worker, error: Exception) -> None:
        """It is no longer asked, and somebody else is hired, who joins once there is room."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        _log.warning("a worker is gone (%s); its %d episodes are played again", type(error).__name__, worker.in_hand)
        self._start(self._replace())

    async def _replace(self) -> None:
        try:
            await self._join(self._hire())
        except (EngineError, self._cluster.failures) as error:
            _log.warning("nobody takes its place: %s", error)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for worker in (*self._workers, *([self._hermit] if self._hermit else [])):
            self._cluster.ray.kill(worker.actor)
        self._workers.clear()
