"""Turns: never two awake, nobody forgotten, no more changes than the work needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from testbed.serving.turns import Turns


class Memory:
    """What is in it, and what was ever done."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.log: list[str] = []


class Model:
    def __init__(self, name: str, memory: Memory) -> None:
        self.name = name
        self.memory = memory

    async def wake(self) -> None:
        assert not self.memory.held, "two models in memory"
        await anyio.sleep(0.001)
        self.memory.held.append(self.name)
        self.memory.log.append(self.name)

    async def rest(self) -> None:
        self.memory.held.remove(self.name)


def run(names: str, work: Callable[[Turns, Memory], Awaitable[None]]) -> tuple[Turns, Memory]:
    memory = Memory()
    turns = Turns({name: Model(name, memory) for name in names})

    async def go() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(turns.keep)
            with anyio.fail_after(20):
                await work(turns, memory)
            group.cancel_scope.cancel()

    anyio.run(go)
    return turns, memory


async def ask(turns: Turns, memory: Memory, name: str, times: int) -> None:
    for _ in range(times):
        async with turns.of(name):
            assert memory.held == [name]
            await anyio.sleep(0.001)


def test_each_model_comes_once_where_all_its_work_is_ready():
    async def work(turns: Turns, memory: Memory) -> None:
        async with anyio.create_task_group() as group:
            for index in range(30):
                group.start_soon(ask, turns, memory, "abc"[index % 3], 5)

    turns, memory = run("abc", work)
    assert sorted(memory.log) == ["a", "b", "c"]
    assert turns.changes == 3


def test_who_needs_two_models_gets_both_again_and_again():
    async def both(turns: Turns, memory: Memory) -> None:
        for _ in range(2):
            await ask(turns, memory, "a", 1)
            await ask(turns, memory, "b", 1)

    async def work(turns: Turns, memory: Memory) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(both, turns, memory)

    _, memory = run("ab", work)
    assert memory.log == ["a", "b", "a", "b"]


def test_who_stops_waiting_is_waited_for_no_more():
    async def work(turns: Turns, memory: Memory) -> None:
        async with turns.of("a"):
            with anyio.move_on_after(0.01):
                await ask(turns, memory, "b", 1)
        await anyio.sleep(0.3)

    _, memory = run("ab", work)
    assert memory.log == ["a"]


def test_a_model_that_cannot_come_ends_it():
    class Gone(Model):
        async def wake(self) -> None:
            raise RuntimeError("gone")

    async def go() -> None:
        turns = Turns({"a": Gone("a", Memory())})
        async with anyio.create_task_group() as group:
            group.start_soon(turns.keep)
            async with turns.of("a"):
                pass

    with pytest.raises(ExceptionGroup, match="unhandled"):
        anyio.run(go)
