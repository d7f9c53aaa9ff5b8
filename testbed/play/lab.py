"""`Lab`: plays trials, many at a time, each once, and stores them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

import anyio

from agents.models.adapters.metered import Charge
from agents.models.model import ModelUnavailable
from agents.models.scoring.listening import listening
from testbed.play.course.budget import Budget
from testbed.play.course.failures import PATIENCE, EngineGone, Failures, ModelGone
from testbed.play.course.progress import Progress
from testbed.play.places import Places
from testbed.play.players import STATE_ONLY, HeldMemory, Players
from testbed.records.append_only import StoreError
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial, one_line
from transfer.memory.experience import Trajectory

T = TypeVar("T")

_log = logging.getLogger(__name__)

_WAITING = 1000
"""So many of one call's episodes wait for their turn beside those that are played; the others are no more than trials
yet."""


class Engine(Protocol):
    """Where a study's models run and its episodes are played: the same trial is the same episode in any engine, byte
    for byte, where its models are the same."""

    @property
    def players(self) -> Players:
        """The study's models as learners ask them, and who sits where."""
        ...

    async def play(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> dict[str, Trajectory]:
        """One episode, a trajectory per seat; `held` and `guests` as `Players.players` takes them.

        Raises as `rollout.play` does (kind, name, text and notes of an error are those of its cause, wherever that
        was), and EngineGone.
        """
        ...

    async def close(self) -> None: ...


class Lab:
    """Trials in, episodes out. What is stored already is not played again; a failed episode is, before all others.

    Finished episodes stay on disk, and so does the index of them.
    """

    def __init__(
        self,
        run: RunDirectory,
        engine: Engine,
        progress: Progress,
        failures: Failures | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Without `failures` no number of lost episodes stops the study, without `budget` nothing that it spends."""
        self.run = run
        self.players = engine.players
        self._engine = engine
        self.progress = progress
        self.failures = failures or Failures()
        self.budget = budget or Budget()
        self._places = Places()
        for place, episode in run.outlines():
            if episode.error is None:
                self._finished(episode, place)
            else:
                self.failures.remember(episode.trial.id, episode.error)
        self._limiters: dict[str, anyio.CapacityLimiter] = {}
        progress.begins()

    @property
    def finished(self) -> int:
        """Episodes that are there, from this process or an earlier one."""
        return len(self._places)

    def recall(self, trajectory: str) -> Trajectory:
        """A stored trajectory by its id, `trial/seat`. Raises KeyError."""
        trial, _, seat = trajectory.partition("/")
        return self.run.episode(self._places[trial]).seats[seat]

    async def play(
        self,
        trials: Sequence[Trial],
        held: HeldMemory = STATE_ONLY,
        guests: Mapping[str, HeldMemory] = {},
    ) -> list[Episode]:
        """Episodes in the order of `trials`, all of which play with `held`: finished, or lost with their error.

        None of them is owed (see `Failures`): that is played again until it is there. `guests` are the members that
        the trials name in background seats. Raises ModelGone when a model has stopped answering, StudyStopped when too
        much was lost, BudgetSpent when no more may be begun, StoreError when nothing can be written, EngineGone when
        nobody is left to play.
        """
        out: dict[str, Episode] = {}

        def keep(episode: Episode) -> None:
            out[episode.trial.id] = episode

        await self._play(trials, held, guests, keep)
        return [out.get(trial.id) or self.run.episode(self._places[trial.id]) for trial in trials]

    async def evaluate(self, trials: Sequence[Trial], held: HeldMemory = STATE_ONLY) -> None:
        """As `play`, for episodes that nobody learns from: they are neither read again nor held."""
        await self._play(trials, held, {}, lambda episode: None)

    async def _play(
        self,
        trials: Sequence[Trial],
        held: HeldMemory,
        guests: Mapping[str, HeldMemory],
        done: Callable[[Episode], None],
    ) -> None:
        """`done` is told of every episode that was not there."""
        if held.memory is not None:
            self.run.keep(held.memory)
        owed = [trial for trial in trials if trial.id not in self._places]
        owed.sort(key=lambda trial: trial.id not in self.failures.standing)
        room = anyio.Semaphore(_WAITING + self.players.config.concurrency, fast_acquire=True)

        async def one(trial: Trial) -> None:
            done(await self._settle(trial, held, guests))
            room.release()

        try:
            async with anyio.create_task_group() as group:
                for trial in owed:
                    await room.acquire()
                    group.start_soon(one, trial)
        except BaseExceptionGroup as errors:
            raise first_cause(errors) from None

    @contextmanager
    def step(self, arm: str, memory: str = "") -> Generator[None]:
        """What is to be finished once it has begun, whatever the budget: learning and exchange, up to their commit."""
        with self.budget.step(partial(self._charged, arm, memory)), listening(self.progress.scored):
            yield

    def _charged(self, arm: str, memory: str, charge: Charge) -> None:
        self.budget.book.charge(charge, arm, memory)
        self.progress.charged(charge)

    async def patiently(self, who: str, think: Callable[[], Awaitable[T]], members: Collection[str] = ()) -> T:
        """What `think` gives; begun anew while its model does not answer, PATIENCE times in all.

        `who` is whose model that is, unless the error names one of `members` in its notes. Raises ModelGone.
        """
        self.progress.thinks(who)
        try:
            for _ in range(PATIENCE - 1):
                try:
                    return await think()
                except ModelUnavailable as error:
                    _log.info("%s: %s; asked again", who, one_line(error))
            try:
                return await think()
            except ModelUnavailable as error:
                gone = _blamed(error, who, {name: name for name in members})
                raise ModelGone(gone, str(error).rstrip(".")) from error
        finally:
            self.progress.thought(who)

    async def _settle(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> Episode:
        """The trial's episode, finished or lost. While it is owed it waits its turn again, behind the others."""
        while True:
            async with self._limiter(trial):
                if self.budget.may_begin:
                    with self.budget.episode(partial(self._charged, trial.arm, trial.memory or "")):
                        episode, owed = await self._attempt(trial, held, guests)
                    if not owed:
                        return episode
                    continue
            await self.budget.end()

    def _limiter(self, trial: Trial) -> anyio.CapacityLimiter:
        queue = self.players.queue(trial.agent)
        if queue not in self._limiters:
            self._limiters[queue] = anyio.CapacityLimiter(self.players.config.concurrency)
        return self._limiters[queue]

    async def _attempt(self, trial: Trial, held: HeldMemory, guests: Mapping[str, HeldMemory]) -> tuple[Episode, bool]:
        """The episode, and whether it is owed still. Every exception of a player or a game is such an episode."""
        names = self.players.names(trial)
        focal = f"player_{trial.seat}"
        self.progress.starts(trial)
        try:
            seats = await self._engine.play(trial, held, guests)
            episode = Episode(trial=trial, seats=seats, focal=focal)
            place = self.run.append(episode)
        except (StoreError, EngineGone):
            raise
        except Exception as error:
            failed = Episode(trial=trial, seats={}, focal=focal, error=one_line(error))
            self.run.append(failed)
            self.progress.advance(failed)
            culprit = _blamed(error, trial.task, names)
            _log.info("%s failed, by %s: %s", trial.id, culprit, failed.error)
            return failed, self.failures.failed(trial, culprit, error)
        self._finished(episode, place, trial.task, *names.values())
        return episode, False

    def _finished(self, episode: Episode, place: int, *answered: str) -> None:
        self._places[episode.trial.id] = place
        self.failures.mended(episode.trial.id, *answered)
        self.progress.advance(episode)


def _blamed(error: BaseException, otherwise: str, names: Mapping[str, str]) -> str:
    """Who is called what one of the error's notes says, by `names`."""
    return next((names[note] for note in getattr(error, "__notes__", ()) if note in names), otherwise)


def first_cause(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real error of a group of concurrent tasks; the others follow from it."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
