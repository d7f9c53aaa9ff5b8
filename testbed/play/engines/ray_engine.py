"""`RayEngine`: episodes by workers on one machine or many; models by processes that have a GPU, where there are any."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from typing import Any

from agents.models.adapters.metered import pass_on
from agents.models.model import Model
from testbed.config.agent import AgentConfig
from testbed.config.study import StudyConfig
from testbed.play.engines.cluster.address import EngineError
from testbed.play.engines.cluster.cluster import Cluster
from testbed.play.engines.cluster.placement import Resources, model_resources
from testbed.play.engines.crew import Crew
from testbed.play.engines.messages import Failure, Played, SentMemory
from testbed.play.engines.remote_model import ModelHost, RemoteModel
from testbed.play.engines.worker import REMEMBERED, RolloutWorker
from testbed.play.models import build_model, build_players, identity, in_process, opponent, program, who_acts
from testbed.play.players import HeldMemory, Players
from testbed.records.trial import Trial
from testbed.serving.fleet import NO_FLEET, Fleet
from testbed.serving.turn_desk import TurnDesk
from transfer.memory.experience import Trajectory

AT_ONCE = 100_000
"""Calls that an actor takes at a time, beside those that ask whether it is well; how many there are is the study's
concurrency."""
PLACED_WITHIN = 600.0
"""Seconds in which a model's process must have begun: others may use the cluster, and a machine may be slow."""
RESTARTS = 3
"""Times that a model's process is started again, on whichever machine has room."""


class RayEngine:
    """One writer, which is this process; everything that takes time happens elsewhere."""

    def __init__(self, cluster: Cluster, players: Players, crew: Crew, hosts: list[Any], desk: TurnDesk) -> None:
        self.players = players
        self._desk = desk
        self._cluster = cluster
        self._crew = crew
        self._hosts = hosts
        self._sent: OrderedDict[str, Any] = OrderedDict()

    @classmethod
    async def open(cls, config: StudyConfig, today: date, fleet: Fleet = NO_FLEET) -> RayEngine:
        """Raises EngineError, ServeError where machines of the cluster cannot reach the fleet, and as `build_players`
        does."""
        async with AsyncExitStack() as opened:
            cluster = Cluster(config.engine)
            opened.callback(cluster.leave)
            desk = await TurnDesk.open(fleet, cluster.strangers())
            opened.push_async_callback(desk.close)
            engine = await _open(cluster, config, today, fleet, desk)
            opened.pop_all()
            return engine

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        seated = {name: self._send(guests[name]) for name in sorted({guest.agent for guest in trial.background})}
        answer = await self._crew.play(trial.model_dump_json(), self._send(held), seated)
        played = Played.model_validate_json(answer)
        for charge in played.charges:
            pass_on(charge)
        if played.failure is not None:
            raise played.failure.error()
        return dict(played.seats)

    def _send(self, held: HeldMemory) -> SentMemory:
        """A memory's text goes to the cluster once, not with every trial."""
        if held.memory is None:
            return SentMemory.of(held, None)
        digest = held.memory.digest
        if digest not in self._sent:
            self._sent[digest] = self._cluster.ray.put(held.memory.dumps())
            while len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        self._sent.move_to_end(digest)
        return SentMemory.of(held, self._sent[digest])

    async def close(self) -> None:
        self._crew.close()
        for host in self._hosts:
            self._cluster.ray.kill(host)
        await self._desk.close()
        await self.players.close()
        self._cluster.leave()


async def _open(cluster: Cluster, config: StudyConfig, today: date, fleet: Fleet, desk: TurnDesk) -> RayEngine:
    asked = _model_resources(cluster, config)
    hosts: list[Any] = []
    remote: dict[str, Model] = {}

    async def load(agent: AgentConfig) -> Model:
        if not in_process(agent):
            return await build_model(agent, config.concurrency, today, fleet)
        host = _place(cluster, agent, asked[identity(agent)], config.concurrency, today)
        hosts.append(host)
        model = remote[identity(agent)] = await _loaded(cluster, agent, host, asked[identity(agent)])
        return model

    players = await build_players(config, today, load, fleet)
    all_processors = sum(machine.get("CPU", 0.0) for machine in cluster.machines())
    processors = all_processors - sum(each.get("CPU", 0.0) for each in asked.values())
    size = config.engine.workers or max(1, int(processors))

    def hire(processors: float) -> Any:
        return (
            cluster.ray.remote(RolloutWorker)
            .options(num_cpus=processors, max_concurrency=AT_ONCE, scheduling_strategy="SPREAD")
            .remote(config.model_dump_json(), today.isoformat(), remote, desk.guests, os.getcwd())
        )

    share = _hundredths(max(0.0, min(1.0, processors / size)))
    patience = 60.0 + max(spec.patience for spec in players.tasks.values())
    crew = Crew(cluster, partial(hire, share), partial(hire, 0.0), program(), patience)
    await crew.begin(size)
    return RayEngine(cluster, players, crew, hosts, desk)


def _place(cluster: Cluster, agent: AgentConfig, asked: Resources, rows: int, today: date) -> Any:
    return (
        cluster.ray.remote(ModelHost)
        .options(
            num_cpus=asked.get("CPU", 0.0),
            num_gpus=asked.get("GPU", 0.0),
            max_concurrency=AT_ONCE,
            max_restarts=RESTARTS,
        )
        .remote(agent.model_dump_json(), rows, today.isoformat())
    )


async def _loaded(cluster: Cluster, agent: AgentConfig, host: Any, asked: Resources) -> Model:
    """Raises EngineError where it finds no place or dies, ModelError where the model cannot be loaded there."""
    try:
        async with asyncio.timeout(PLACED_WITHIN):
            await host.here.remote()
        card = await host.card.remote()
    except TimeoutError:
        free = cluster.free()
        raise EngineError(
            f"the process for {agent.model} has found no place within {PLACED_WITHIN:g} s: it asks for "
            f"{_words(asked)}, and {_words({name: free.get(name, 0.0) for name in asked})} of the "
            "cluster is free; wait for who uses it (`ray status`), or add machines"
        ) from None
    except cluster.failures as error:
        raise EngineError(
            f"the process that loads {agent.model} is gone ({type(error).__name__}), most often for want of memory; "
            "choose a smaller model, or look into Ray's log there"
        ) from error
    if isinstance(card, Failure):
        raise card.error()
    return RemoteModel(host, card, agent.patience)


def _words(resources: Resources) -> str:
    return ", ".join(f"{number:g} {name}" for name, number in resources.items())


def _model_resources(cluster: Cluster, config: StudyConfig) -> dict[str, Resources]:
    """What each model that runs in a process of ours asks for, by `identity`. Raises EngineError."""
    agents = (*who_acts(config), *(opponent(config, task) for task in config.tasks))
    models = {identity(agent): agent for agent in agents if in_process(agent)}
    return model_resources(models, config.engine.gpus, cluster.machines())


def _hundredths(number: float) -> float:
    """Ray counts processors in small parts; rounded down, so that all who ask find room."""
    return int(100 * number) / 100
