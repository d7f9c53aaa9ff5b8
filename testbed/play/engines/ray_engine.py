"""`RayEngine`: episodes by workers on one machine or many; models by processes that have a GPU, where there are any."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from agents.models.adapters.metered import pass_on
from agents.models.model import Model
from testbed.config.agent import AgentConfig
from testbed.config.study import StudyConfig
from testbed.play.engines.cluster import Cluster, EngineError
from testbed.play.engines.crew import Crew
from testbed.play.engines.messages import Failure, Played, SentMemory
from testbed.play.engines.remote_model import ModelHost, RemoteModel
from testbed.play.engines.worker import REMEMBERED, RolloutWorker
from testbed.play.models import build_model, build_players, identity, in_process, opponent, program, who_acts
from testbed.play.players import HeldMemory, Players
from testbed.records.trial import Trial
from transfer.memory.experience import Trajectory

AT_ONCE = 1000
"""Calls that an actor takes at a time; how many there are is the study's concurrency."""
RESTARTS = 3
"""Times that a model's process is started again, on whichever machine has room."""


class RayEngine:
    """One writer, which is this process; everything that takes time happens elsewhere."""

    def __init__(self, cluster: Cluster, players: Players, crew: Crew, hosts: list[Any]) -> None:
        self.players = players
        self._cluster = cluster
        self._crew = crew
        self._hosts = hosts
        self._sent: OrderedDict[str, Any] = OrderedDict()

    @classmethod
    async def open(cls, config: StudyConfig, today: date) -> RayEngine:
        """Raises EngineError, and as `build_players` does."""
        cluster = Cluster(config.engine)
        try:
            return await _open(cluster, config, today)
        except BaseException:
            cluster.leave()
            raise

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
        await self.players.close()
        self._cluster.leave()


async def _open(cluster: Cluster, config: StudyConfig, today: date) -> RayEngine:
    options = _model_options(cluster, config)
    hosts: list[Any] = []
    remote: dict[str, Model] = {}

    async def load(agent: AgentConfig) -> Model:
        if not in_process(agent):
            return await build_model(agent, config.concurrency, today)
        host = (
            cluster.ray.remote(ModelHost)
            .options(**options[identity(agent)], max_concurrency=AT_ONCE, max_restarts=RESTARTS)
            .remote(agent.model_dump_json(), config.concurrency, today.isoformat())
        )
        hosts.append(host)
        try:
            card = await host.card.remote()
        except cluster.failures as error:
            raise EngineError(f"the process that loads {agent.model} is gone: {type(error).__name__}") from error
        if isinstance(card, Failure):
            raise card.error()
        model = remote[identity(agent)] = RemoteModel(host, card, agent.patience)
        return model

    players = await build_players(config, today, load)
    processors = cluster.resources().get("CPU", 0.0) - sum(each.get("num_cpus", 0.0) for each in options.values())
    size = config.engine.workers or max(1, int(processors))
    hire = partial(
        cluster.ray.remote(RolloutWorker)
        .options(
            num_cpus=_hundredths(max(0.0, min(1.0, processors / size))),
            max_concurrency=AT_ONCE,
            scheduling_strategy="SPREAD",
        )
        .remote,
        config.model_dump_json(),
        today.isoformat(),
        remote,
        os.getcwd(),
    )
    patience = 60.0 + max(spec.patience for spec in players.tasks.values())
    crew = Crew(cluster, hire, program(), patience)
    await crew.begin(size)
    return RayEngine(cluster, players, crew, hosts)


def _model_options(cluster: Cluster, config: StudyConfig) -> dict[str, dict[str, Any]]:
    """What each model that runs in a process of ours asks for, by `identity`: a GPU, or an equal part of most
    processors. Raises EngineError where there are too few GPUs."""
    agents = (*who_acts(config), *(opponent(config, task) for task in config.tasks))
    models = {identity(agent): agent for agent in agents if in_process(agent)}
    there = cluster.resources()
    on_gpu = [key for key, agent in models.items() if agent.device != "cpu" and there.get("GPU")]
    asked = len(on_gpu) * config.engine.gpus
    if asked > there.get("GPU", 0.0):
        raise EngineError(
            f"{len(on_gpu)} models ask for {asked:g} GPUs, and the cluster has {there['GPU']:g}; write a part of one "
            "into the study, [engine] gpus = 0.5, or add machines"
        )
    on_cpu = len(models) - len(on_gpu)
    processors = _hundredths(there.get("CPU", 0.0) / on_cpu) if on_cpu else 0.0
    if processors > 1.0:  # one is left for a worker; a model lies on one machine
        processors = float(max(1, int(min(there["CPU"] - 1.0, cluster.most_processors()) // on_cpu)))
    return {
        key: {"num_gpus": config.engine.gpus, "num_cpus": 0.0} if key in on_gpu else {"num_cpus": processors}
        for key in models
    }


def _hundredths(number: float) -> float:
    """Ray counts processors in small parts; rounded down, so that all who ask find room."""
    return int(100 * number) / 100
