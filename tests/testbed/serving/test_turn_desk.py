"""Another process asks a fleet's servers in turn, through a real socket."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import stat
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agents.models.model import ModelUnavailable
from testbed.config.agent import AgentConfig
from testbed.serving.fleet import NO_FLEET, Berth, Fleet, identity
from testbed.serving.turn_desk import Guests, TurnDesk
from testbed.serving.turns import Turns
from testbed.serving.vllm import Launch, ServeError

ONE, OTHER = (AgentConfig.model_validate({"name": name, "model": name, "serve": True}) for name in ("one", "other"))


class Told:
    """A resident that is told, and does nothing."""

    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    async def wake(self) -> None:
        self._told.append(f"wake {self._name}")

    async def rest(self) -> None:
        self._told.append(f"rest {self._name}")


def in_turn(told: list[str]) -> Fleet:
    keys = [identity(agent) for agent in (ONE, OTHER)]
    turns = Turns({key: Told(told, key.partition(" ")[0]) for key in keys})
    return Fleet(
        {key: Berth(Launch(key, 8000 + n), None, 1.0) for n, key in enumerate(keys)}, [turns], dict.fromkeys(keys, 0)
    )


def at_a_desk(use: Any) -> list[str]:
    told: list[str] = []

    async def main() -> None:
        fleet = in_turn(told)
        async with anyio.create_task_group() as group:
            turns = fleet.turns(identity(ONE))
            assert turns is not None
            group.start_soon(turns.keep)
            desk = await TurnDesk.open(fleet)
            try:
                with anyio.fail_after(60):
                    await use(desk.guests)
            finally:
                await desk.close()
            group.cancel_scope.cancel()

    anyio.run(main)
    return told


def test_guests_take_the_turns_that_the_fleet_keeps():
    """What another process was sent asks the same addresses, and waits for whoever has its turn."""

    async def use(here: Guests) -> None:
        guests: Guests = pickle.loads(pickle.dumps(here))
        assert [guests.url(agent) for agent in (ONE, OTHER)] == [f"http://127.0.0.1:{port}/v1" for port in (8000, 8001)]
        assert guests.queue(ONE) != guests.queue(OTHER)
        assert stat.S_IMODE(os.stat(Path(guests.socket).parent).st_mode) == 0o700
        done: list[str] = []

        async def ask(agent: AgentConfig) -> None:
            async with guests.turn(agent)():
                await anyio.sleep(0.05)
                done.append(agent.name)

        async with anyio.create_task_group() as group:
            for agent in (ONE, OTHER, ONE, OTHER, ONE):
                group.start_soon(ask, agent)
                await anyio.sleep(0.01)
        assert sorted(done) == ["one"] * 3 + ["other"] * 2
        assert done[:3] == ["one"] * 3

    assert at_a_desk(use) == ["wake one", "rest one", "wake other"]


def hold(guests: Guests, holds: Any) -> None:
    async def main() -> None:
        async with guests.turn(ONE)():
            holds.set()
            await anyio.sleep(600)

    anyio.run(main)


def test_a_guest_that_is_killed_keeps_nobody_waiting():
    async def use(guests: Guests) -> None:
        context = multiprocessing.get_context("spawn")
        holds = context.Event()
        guest = context.Process(target=hold, args=[guests, holds])
        guest.start()
        assert await anyio.to_thread.run_sync(holds.wait, 60)
        guest.kill()
        async with guests.turn(OTHER)():
            pass
        guest.join()

    assert at_a_desk(use) == ["wake one", "rest one", "wake other"]


def test_who_asks_when_the_fleet_is_gone_is_told():
    left: list[AbstractAsyncContextManager[None]] = []

    async def use(guests: Guests) -> None:
        left.append(guests.turn(ONE)())

    at_a_desk(use)

    async def late() -> None:
        async with left[0]:
            pass

    with pytest.raises(ModelUnavailable, match="the process that started one is gone"):
        anyio.run(late)


def test_without_turns_there_is_no_socket():
    async def main() -> None:
        desk = await TurnDesk.open(NO_FLEET)
        assert desk.guests == Guests({}, frozenset(), "")
        await desk.close()

    anyio.run(main)


def test_machines_that_cannot_reach_the_servers_are_named():
    async def main() -> None:
        await TurnDesk.open(NO_FLEET, ["10.0.0.2"])
        with pytest.raises(ServeError, match=r"this machine alone can reach, .* others \(10.0.0.2, 10.0.0.3\); start"):
            await TurnDesk.open(in_turn([]), ["10.0.0.2", "10.0.0.3"])

    anyio.run(main)
