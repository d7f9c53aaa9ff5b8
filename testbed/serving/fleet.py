"""`Fleet`: the servers that a run starts itself, watches, and takes down again."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio
from anyio import to_thread

from agents.models.weights import folders
from testbed.config.agent import AgentConfig
from testbed.config.conduct.serve import ServeConfig
from testbed.serving.memory import available, gpus
from testbed.serving.turns import Turns
from testbed.serving.vllm import (
    KV_CACHE_GIB,
    Launch,
    ServeError,
    VllmServer,
    free_ports,
    on_cpu,
    vllm_python,
    wait_until_ready,
)

_log = logging.getLogger(__name__)

_RESTARTS = 3
"""So often a server that dies soon after it was started is started again."""
_SOUND = 300.0
"""Seconds: a server that dies later has not died of its start, and its deaths are counted anew."""
_WATCH = 1.0
"""Seconds between two looks at whether a server lives."""
USABLE = 0.9
"""Share of a memory that models may fill."""


@dataclass
class Berth:
    """One model's server: started when it is first awake; it rests by vLLM's sleep, or ends where there is none."""

    launch: Launch
    level: int | None
    """Of sleep; None where the server cannot sleep."""
    need: float
    """GiB of memory, of each of its GPUs."""
    server: VllmServer | None = None
    starts: int = 0
    deaths: int = 0
    """In a row."""
    restarts: int = 0
    """After a death, in all."""
    _ready_since: float | None = None
    """Monotonic seconds; None while it starts."""
    _at: anyio.Lock = field(default_factory=anyio.Lock)
    _awake: bool = False

    @property
    def awake(self) -> bool:
        return self._awake

    async def wake(self) -> None:
        async with self._at:
            if not await self._woken():
                await self._start()
            self._awake = True

    async def rest(self) -> None:
        async with self._at:
            self._awake = False
            if self.server is not None and self.level is not None and self._lives():
                await to_thread.run_sync(self.server.sleep, self.level)
            else:
                await self._end()

    async def mend(self) -> None:
        """Start the server again where it died at work. Raises ServeError when it does so again and again."""
        async with self._at:
            while self._awake and not self._lives():
                was_sound = self._ready_since is not None and time.monotonic() - self._ready_since > _SOUND
                self.deaths = 1 if was_sound else self.deaths + 1
                if self.deaths > _RESTARTS:
                    assert self.server is not None
                    self.server.check()
                _log.warning(
                    "vLLM with %s has died; started again (%d of %d)", self.launch.name, self.deaths, _RESTARTS
                )
                self.restarts += 1
                with suppress(ServeError):  # it may die of its start, too
                    await self._start()

    async def close(self) -> None:
        async with self._at:
            self._awake = False
            await self._end()

    async def _woken(self) -> bool:
        """Whether it slept and came back; it does not where others have taken the GPU's memory meanwhile."""
        if self.server is None or self.level is None or not self._lives():
            return False
        try:
            await to_thread.run_sync(self.server.wake, self.level)
        except ServeError as error:
            _log.warning("%s; it is started anew", error)
            return False
        return True

    def _lives(self) -> bool:
        try:
            if self.server is not None:
                self.server.check()
        except ServeError:
            return False
        return self.server is not None

    async def _start(self) -> None:
        await self._end()
        self.starts += 1
        self._ready_since = None
        self.server = VllmServer(self.launch)
        await to_thread.run_sync(wait_until_ready, [self.server], abandon_on_cancel=True)
        self._ready_since = time.monotonic()

    async def _end(self) -> None:
        if self.server is not None:
            await to_thread.run_sync(self.server.stop)
            self.server = None


class Served(Protocol):
    """What a study's agents that say `serve` are reached at."""

    def url(self, agent: AgentConfig) -> str: ...

    def turn(self, agent: AgentConfig) -> Callable[[], AbstractAsyncContextManager[None]]:
        """What every question to the agent's model is asked within."""
        ...

    def queue(self, agent: AgentConfig) -> str:
        """Episodes of one queue do not wait for those of another: a model of its own where turns are taken."""
        ...


class Fleet:
    """The servers that this process has started. It is `Served`."""

    def __init__(self, berths: Mapping[str, Berth], groups: Sequence[Turns | None], of: Mapping[str, int]) -> None:
        """`of` is each model's group: those that take turns with one another, None where nobody must."""
        self.berths = berths
        self._groups = groups
        self._of = of

    def address(self, model: str) -> str:
        """By the model's `identity`."""
        return f"http://127.0.0.1:{self.berths[model].launch.port}/v1"

    def turns(self, model: str) -> Turns | None:
        """Those that it takes with others, by its `identity`."""
        return self._groups[self._of[model]]

    def url(self, agent: AgentConfig) -> str:
        return self.address(identity(agent))

    def turn(self, agent: AgentConfig) -> Callable[[], AbstractAsyncContextManager[None]]:
        if agent.serve is None:
            return nullcontext
        key = identity(agent)
        turns = self.turns(key)
        return nullcontext if turns is None else lambda: turns.of(key)

    def queue(self, agent: AgentConfig) -> str:
        takes_turns = agent.serve is not None and self.turns(identity(agent)) is not None
        return identity(agent) if takes_turns else ""

    @property
    def changes(self) -> int:
        """How often a model came into memory in place of another, or first of all, where turns are taken."""
        return sum(turns.changes for turns in self._groups if turns is not None)

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(_WATCH)
            for berth in self.berths.values():
                await berth.mend()


NO_FLEET = Fleet({}, [], {})
"""Nobody says `serve`."""


def identity(agent: AgentConfig) -> str:
    """Agents that differ in name and manner alone share a server."""
    assert agent.serve is not None
    return f"{agent.model} {agent.serve.model_dump_json()}"


@asynccontextmanager
async def fleet(agents: Sequence[AgentConfig]) -> AsyncGenerator[Fleet]:
    """The servers of those agents that say `serve`, until the block is left; models are loaded as they are needed.

    Raises ServeError: no vLLM, a model that no GPU can hold; a server that does not start or dies again and again ends
    the block, as one of a group of errors;
    WeightsError where weights cannot be had.
    """
    wanted = {identity(agent): agent for agent in agents if agent.serve is not None}
    if not wanted:
        yield NO_FLEET
        return
    memory = available() if on_cpu(vllm_python()) else gpus()
    berths, rooms = _berths(wanted, memory)
    crowded = [sum(berths[key].need for key in room) > USABLE * memory[index] for index, room in enumerate(rooms)]
    of = {key: index for index, room in enumerate(rooms) for key in room}
    groups = [Turns({key: berths[key] for key in room}) if crowded[index] else None for index, room in enumerate(rooms)]
    for index, room in enumerate(rooms):
        for key in room:
            _share(berths[key], wanted[key], memory[index], alone=crowded[index])
    try:
        async with anyio.create_task_group() as group:
            running = Fleet(berths, groups, of)
            for turns in groups:
                if turns is not None:
                    group.start_soon(turns.keep)
            async with anyio.create_task_group() as starting:
                for key, index in of.items():
                    if groups[index] is None:
                        starting.start_soon(berths[key].wake)
            group.start_soon(running._watch)  # pyright: ignore[reportPrivateUsage]
            yield running
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            for berth in berths.values():
                await berth.close()


def _berths(wanted: Mapping[str, AgentConfig], memory: Sequence[float]) -> tuple[dict[str, Berth], list[list[str]]]:
    """Every model's berth, and for each GPU (or this machine) the models that live there: big ones first, each where
    least lies so far. A model of several GPUs makes one room of all."""
    ports = free_ports(len(wanted))
    needs = {key: _need(agent) for key, agent in wanted.items()}
    for key, agent in wanted.items():
        if needs[key] > USABLE * max(memory):
            raise ServeError(
                f"agent {agent.name}: {agent.model} needs about {needs[key]:.1f} GiB of each GPU's memory, of which "
                f"there are {max(memory):.1f}; choose a smaller model, a quantized one, or serve.tensor_parallel"
            )
    widest = max(_serve(agent).tensor_parallel for agent in wanted.values())
    if widest > len(memory):
        raise ServeError(f"serve.tensor_parallel = {widest}, and there is memory of {len(memory)} to be shared")
    rooms: list[list[str]] = [[] for _ in memory]
    for key in sorted(wanted, key=lambda key: -needs[key]):
        loads = [sum(needs[other] for other in room) / size for room, size in zip(rooms, memory, strict=True)]
        rooms[0 if widest > 1 else loads.index(min(loads))].append(key)
    at = {key: index for index, room in enumerate(rooms) for key in room}
    cpu = on_cpu(vllm_python())
    berths: dict[str, Berth] = {}
    for place, (key, agent) in enumerate(wanted.items()):
        serve = _serve(agent)
        gpus = () if cpu else (tuple(range(serve.tensor_parallel)) if widest > 1 else (at[key],))
        launch = Launch(
            agent.model,
            ports[place],
            serve.max_length,
            serve.dtype,
            gpus=gpus,
            cores=(place, len(wanted)),
            extra=_arguments(serve),
        )
        berths[key] = Berth(launch, None if cpu else serve.sleep, needs[key])
    return berths, rooms


def _share(berth: Berth, agent: AgentConfig, memory: float, *, alone: bool) -> None:
    """What of the memory the server may fill: all of it while it has its turn, what it needs beside others."""
    share = _serve(agent).gpu_memory or (USABLE if alone else min(USABLE, berth.need / memory))
    sleeps = alone and berth.level is not None
    cores = (0, 1) if alone else berth.launch.cores
    berth.launch = replace(berth.launch, gpu_memory=share, sleeps=sleeps, cores=cores)
    berth.level = berth.level if sleeps else None


def weights_gib(model: str) -> float:
    """Of a model's weights as they lie on disk. Raises WeightsError where they are not there."""
    return sum(file.stat().st_size for file in folders.path(model).glob("*.safetensors")) / 2**30


def _need(agent: AgentConfig) -> float:
    """GiB of each GPU: weights as they lie on disk, twice that where 16-bit weights are served as 32, and a cache."""
    serve = _serve(agent)
    return weights_gib(agent.model) * (2 if serve.dtype == "float32" else 1) / serve.tensor_parallel + KV_CACHE_GIB


def _arguments(serve: ServeConfig) -> tuple[str, ...]:
    parallel = () if serve.tensor_parallel == 1 else ("--tensor-parallel-size", str(serve.tensor_parallel))
    quantized = () if serve.quantization is None else ("--quantization", serve.quantization)
    return (*parallel, *quantized, *serve.extra)


def _serve(agent: AgentConfig) -> ServeConfig:
    assert agent.serve is not None
    return agent.serve
