"""`LocalEngine`: a study's episodes in this process."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.play.engines.rollout import play
from testbed.play.players import HeldMemory, Players
from testbed.records.trial import Trial
from transfer.memory.experience import Trajectory


class LocalEngine:
    """Many episodes on one event loop."""

    def __init__(self, players: Players) -> None:
        self.players = players

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        seated = self.players.players(trial, held, guests)
        names = self.players.names(trial)
        return await play(self.players.game(trial), seated, trial.env_seed, trial=trial.id, names=names)

    async def close(self) -> None:
        await self.players.close()
