"""`Engine`: where a study's models run and its episodes are played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from testbed.play.engines.rollout import play
from testbed.play.players import HeldMemory, Players
from testbed.records.trial import Trial
from transfer.memory.experience import Trajectory


class EngineError(RuntimeError):
    """The engine that a study asks for is not to be had; one sentence with the remedy."""


class EngineGone(RuntimeError):
    """Nobody is left to play episodes; what was finished is stored, and the same command resumes."""


class Engine(Protocol):
    """The same trial is the same episode, byte for byte, wherever it is played by the same model."""

    @property
    def players(self) -> Players:
        """The study's models as learners ask them, and who sits where."""
        ...

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        """One episode, a trajectory per seat; `held` and `guests` as `Players.players` takes them.

        Raises as `rollout.play` does (the kind, name, text and notes of an error are those of its cause, wherever that
        was), and EngineGone.
        """
        ...

    async def close(self) -> None: ...


class LocalEngine:
    """Episodes in this process, many on one event loop."""

    def __init__(self, players: Players) -> None:
        self.players = players

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        seated = self.players.players(trial, held, guests)
        names = self.players.names(trial)
        return await play(self.players.game(trial), seated, trial.env_seed, trial=trial.id, names=names)

    async def close(self) -> None:
        await self.players.close()
