"""Who takes over when a worker dies. The workers here are fakes; tests of the real ones are in test_ray_engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from testbed.play.course.failures import EngineGone
from testbed.play.engines import crew as crews
from testbed.play.engines.cluster.address import EngineError
from testbed.play.engines.crew import Crew, WorkerDied


class Dead(Exception):
    """Stands for Ray's errors of actors that are gone."""


class FakeWorker:
    """Plays what it is sent; "poison" kills it, and with it all that it has in hand. "hang" holds it until killed."""

    def __init__(self, program: str = "v1") -> None:
        self.program = program
        self.dead = asyncio.Event()
        self.hangs = False
        self.played = Counter[str]()
        for method in ("begin", "play", "pulse"):
            setattr(self, method, SimpleNamespace(remote=getattr(self, f"_{method}")))

    async def _begin(self) -> str:
        return self.program

    async def _play(self, message: str) -> bytes:
        self.played[message] += 1
        if message == "poison":
            await asyncio.sleep(0.02)
            self.dead.set()
        self.hangs = self.hangs or message == "hang"
        done = asyncio.create_task(asyncio.sleep(0.05 if not self.hangs else 60))
        await asyncio.wait([done, asyncio.create_task(self.dead.wait())], return_when=asyncio.FIRST_COMPLETED)
        if self.dead.is_set():
            raise Dead
        return message.encode()

    async def _pulse(self) -> None:
        if self.hangs:
            await self.dead.wait()
        if self.dead.is_set():
            raise Dead


class FakeCluster:
    failures = Dead

    def __init__(self, workers: int = 100) -> None:
        self.hired: list[FakeWorker] = []
        self.hermits: list[FakeWorker] = []
        self.most = workers
        self.ray = SimpleNamespace(kill=lambda actor: actor.dead.set())

    def hire_hermit(self) -> FakeWorker:
        worker = FakeWorker()
        self.hermits.append(worker)
        return worker

    def hire(self) -> FakeWorker:
        worker = FakeWorker()
        self.hired.append(worker)
        if len(self.hired) > self.most:  # no room: it never begins
            worker.begin = SimpleNamespace(remote=asyncio.Event().wait)
        return worker


def in_crew(use, size=2, patience=5.0, **changes):
    async def main():
        cluster = FakeCluster(**changes)
        crew = Crew(cluster, cluster.hire, cluster.hire_hermit, "v1", patience)
        try:
            await crew.begin(size)
            return await use(crew, cluster)
        finally:
            crew.close()

    return asyncio.run(main())


def test_a_trial_that_kills_its_workers_is_lost_and_no_other():
    async def use(crew, cluster):
        others = [str(number) for number in range(40)]
        answers = await asyncio.gather(*(crew.play(each) for each in ["poison", *others]), return_exceptions=True)
        assert isinstance(answers[0], WorkerDied)
        assert answers[1:] == [each.encode() for each in others]
        assert (
            sum(worker.played["poison"] for worker in (*cluster.hired, *cluster.hermits))
            == crews.ACCIDENTS + crews.ALONE
        )
        await asyncio.sleep(0.01)
        assert crew.size == 2

    in_crew(use)


def test_a_worker_that_hangs_is_ended_and_its_other_trials_are_played(monkeypatch):
    monkeypatch.setattr(crews, "PULSE", 0.05)

    async def use(crew, cluster):
        answers = await asyncio.gather(
            crew.play("hang"), *(crew.play(str(n)) for n in range(6)), return_exceptions=True
        )
        assert isinstance(answers[0], WorkerDied)
        assert answers[1:] == [str(n).encode() for n in range(6)]

    in_crew(use, patience=0.1)


def test_who_was_unlucky_twice_is_played_though_nobody_new_finds_room():
    """Two machines die, one after the other, and none comes: episodes that both had in hand wait for no processor."""

    async def use(crew, cluster):
        playing = [asyncio.create_task(crew.play(str(n))) for n in range(6)]
        await asyncio.sleep(0.01)
        for worker in cluster.hired[:2]:
            worker.dead.set()
            await asyncio.sleep(0.02)
        assert await asyncio.gather(*playing) == [str(n).encode() for n in range(6)]
        assert len(cluster.hermits) == 1
        assert crew.size == 1

    in_crew(use, size=3, workers=3)


def test_a_crew_of_nobody_gives_up(monkeypatch):
    monkeypatch.setattr(crews, "REPLACED_WITHIN", 0.1)

    async def use(crew, cluster):
        for worker in cluster.hired:
            worker.dead.set()
        with pytest.raises(EngineGone, match="all workers of Ray are gone"):
            await crew.play("a")

    in_crew(use, size=1, workers=1)


def test_workers_share_the_work():
    async def use(crew, cluster):
        await asyncio.gather(*(crew.play(str(n)) for n in range(20)))
        assert [worker.played.total() for worker in cluster.hired] == [5, 5, 5, 5]

    in_crew(use, size=4)


def test_another_version_is_refused():
    async def use(crew, cluster):
        cluster.hire = lambda: FakeWorker("v2")
        crew._hire = cluster.hire
        with pytest.raises(EngineError, match="has procmem v2, not v1; install the same on all machines"):
            await crew.begin(1)

    in_crew(use)


def test_workers_that_never_start_are_named(monkeypatch):
    monkeypatch.setattr(crews, "STARTS_WITHIN", 0.1)
    with pytest.raises(EngineError, match="only 1 of 3 workers of Ray have started"):
        in_crew(None, size=3, workers=1)
