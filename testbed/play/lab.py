"""`Lab`: plays trials, many at a time, each once, and stores them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import anyio

from agents.models.model import ModelError, ModelUnavailable
from agents.selection import Value
from testbed.play.players import Cast, Kit
from testbed.play.rollout import play
from testbed.records.append_only import StoreError
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial, said
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool

PATIENCE = 8
"""Episodes in a row that one agent's model may fail before the study is stopped: it will not come back by itself."""


class StudyStopped(RuntimeError):
    """The study cannot go on now; what was finished is stored, and the same command resumes it."""


class ModelGone(StudyStopped):
    """One player's model has stopped answering; `agent` is what the records call it."""

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(f"agent {agent}: {reason}. Finished episodes are stored; the same command resumes.")
        self.agent = agent
        self.reason = reason


class Progress(Protocol):
    """Told of every episode that is done."""

    def advance(self, episode: Episode) -> None: ...


class Lab:
    """Trials in, episodes out. What is stored already is not played again; a failed episode is.

    Finished episodes stay on disk: of each, only its place in the file is kept.
    """

    def __init__(self, run: RunDirectory, cast: Cast, progress: Progress) -> None:
        self.run = run
        self.cast = cast
        self.progress = progress
        self._places: dict[str, int] = {}
        for place, episode in run.stored():
            if episode.error is None:
                self._places[episode.trial.id] = place
                progress.advance(episode)
        self._limiter = anyio.CapacityLimiter(cast.config.concurrency)
        self._failures: Counter[str] = Counter()

    def recall(self, trajectory: str) -> Trajectory:
        """A stored trajectory by its id, `trial/seat`. Raises KeyError."""
        trial, _, seat = trajectory.partition("/")
        return self.run.episode(self._places[trial]).seats[seat]

    async def play(
        self,
        trials: Sequence[Trial],
        pool: SkillPool | None = None,
        values: Mapping[str, Value] | None = None,
        guests: Mapping[str, Kit] = {},
    ) -> list[Episode]:
        """Episodes in the order of `trials`, all of which play with `pool`; those that failed carry their error.

        `guests` are the members that the trials name in background seats. Raises ModelGone when a model has stopped
        answering, StoreError when nothing can be written.
        """
        out: dict[str, Episode] = {}

        async def one(trial: Trial) -> None:
            async with self._limiter:
                out[trial.id] = await self._episode(trial, Kit(pool, values or {}), guests)

        try:
            async with anyio.create_task_group() as group:
                for trial in trials:
                    place = self._places.get(trial.id)
                    if place is None:
                        group.start_soon(one, trial)
                    else:
                        out[trial.id] = self.run.episode(place)
        except BaseExceptionGroup as errors:
            raise first_cause(errors) from None
        return [out[trial.id] for trial in trials]

    async def _episode(self, trial: Trial, kit: Kit, guests: Mapping[str, Kit]) -> Episode:
        spec = self.cast.tasks[trial.task]
        players, names = self.cast.players(trial, kit.pool, kit.values, guests)
        focal = f"player_{trial.seat}"
        try:
            seats = await play(spec, players, trial.env_seed, trial=trial.id, names=names)
            episode = Episode(trial=trial, seats=seats, focal=focal)
            self._places[trial.id] = self.run.append(episode)
        except StoreError:
            raise
        except Exception as error:
            failed = Episode(trial=trial, seats={}, focal=focal, error=said(error))
            self.run.append(failed)
            self.progress.advance(failed)
            self._fail(next((names[note] for note in getattr(error, "__notes__", ())), trial.agent), error)
            return failed
        for name in names.values():
            self._failures[name] = 0
        self.progress.advance(episode)
        return episode

    def failing(self, agent: str) -> bool:
        """Whether the last thing heard of an agent's model is that it did not answer."""
        return self._failures[agent] > 0

    def _fail(self, agent: str, error: Exception) -> None:
        """A night is not spent on a model that is gone, nor a study lost to one bad episode."""
        if not isinstance(error, ModelError):
            return
        self._failures[agent] += 1
        if not isinstance(error, ModelUnavailable) or self._failures[agent] >= PATIENCE:
            raise ModelGone(agent, str(error).rstrip("."))


def first_cause(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real error of a group of concurrent tasks; the others follow from it."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
