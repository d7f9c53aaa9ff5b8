"""`LocalEngine`: a study's episodes in this process."""

from __future__ import annotations

import gc
from collections.abc import Mapping

from testbed.play.engines.rollout import play
from testbed.play.players import HeldMemory, Players
from testbed.records.trial import Trial
from transfer.memory.experience import Trajectory

YOUNG = 50_000
"""Objects that are new before Python looks for cycles among them, in place of 700."""


class LocalEngine:
    """Many episodes on one event loop.

    Episodes leave next to no cyclic garbage, and each collection looks through what is in flight: so there are few
    while the engine is open.
    """

    def __init__(self, players: Players) -> None:
        self.players = players
        self._thresholds = gc.get_threshold()
        gc.set_threshold(YOUNG, *self._thresholds[1:])

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        seated = self.players.players(trial, held, guests)
        names = self.players.names(trial)
        return await play(self.players.game(trial), seated, trial.env_seed, trial=trial.id, names=names)

    async def close(self) -> None:
        gc.set_threshold(*self._thresholds)
        await self.players.close()
