"""`RolloutWorker`: a process that plays episodes for a study that is run elsewhere, many at a time."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from datetime import date
from pathlib import Path

from pydantic_core import from_json

from agents.models.adapters.metered import Account, Charge, Use, charging
from agents.models.model import Model
from testbed.config.agent import AgentConfig
from testbed.config.reading.load import parse_study
from testbed.play.engines.local import LocalEngine
from testbed.play.engines.messages import Failure, Played, SentMemory, read_memory
from testbed.play.models import build_model, build_players, identity, program
from testbed.play.players import HeldMemory
from testbed.records.trial import Trial
from testbed.serving.turn_desk import Guests
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory

REMEMBERED = 256
"""Memories that a worker keeps at hand."""


class RolloutWorker:
    """An actor on an event loop of its own. What it says is JSON."""

    def __init__(self, study: str, today: str, models: Mapping[str, Model], fleet: Guests, folder: str) -> None:
        """`models` by `identity`: those that others run. `fleet`: servers that the study's command has started.
        `folder` is where the study is run, if it is here, too."""
        self._config = parse_study(from_json(study), "the study")
        self._today = date.fromisoformat(today)
        self._models = models
        self._fleet = fleet
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        if Path(folder).is_dir():
            os.chdir(folder)
            sys.path.append(folder)

    async def begin(self) -> str:
        """Set up the study's games and models; the version of the program, or why that failed, as Failure."""
        try:
            self._engine = LocalEngine(await build_players(self._config, self._today, self._load, self._fleet))
        except Exception as error:
            return Failure.of(error).model_dump_json()
        return program()

    async def _load(self, agent: AgentConfig) -> Model:
        found = self._models.get(identity(agent))
        return found or await build_model(agent, self._config.concurrency, self._today, self._fleet)

    async def play(self, trial: str, held: SentMemory, guests: Mapping[str, SentMemory]) -> bytes:
        """The episode of a trial, as `Played`."""
        spent: dict[tuple[str, str, Use], Account] = {}

        def charged(charge: Charge) -> None:
            spent.setdefault(charge[:3], Account()).add(charge.cost)

        seats: Mapping[str, Trajectory] = {}
        failure = None
        try:
            mine = await self._received(held)
            others = {name: await self._received(each) for name, each in guests.items()}
            with charging(charged):
                seats = await self._engine.play(Trial.model_validate_json(trial), mine, others)
        except Exception as error:
            failure = Failure.of(error)
        charges = tuple(Charge(*who, cost) for who, cost in spent.items())
        return Played(seats=seats, failure=failure, charges=charges).model_dump_json().encode()

    async def _received(self, sent: SentMemory) -> HeldMemory:
        if sent.digest is None:
            return sent.received(None)
        if sent.digest not in self._memories:
            text = await sent.text if isinstance(sent.text, Awaitable) else sent.text
            self._memories[sent.digest] = read_memory(text, sent.digest)
            while len(self._memories) > REMEMBERED:
                self._memories.popitem(last=False)
        self._memories.move_to_end(sent.digest)
        return sent.received(self._memories[sent.digest])

    async def pulse(self) -> None:
        """Answers as long as no game holds the event loop."""
