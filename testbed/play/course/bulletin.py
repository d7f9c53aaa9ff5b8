"""`Bulletin`: tells those who watch a run, by `status.json`, what it is doing, and keeps its accounts on the disk."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from agents.models.adapters.metered import Charge
from testbed.play.course.pace import Pace, kind_of, kind_of_thought
from testbed.play.course.progress import Progress
from testbed.records.append_only import StoreError
from testbed.records.side_files.accounts import AccountBook
from testbed.records.side_files.status import EVERY, ServerState, State, Status, UnderWay, write_status
from testbed.records.trial import Episode, Trial

SHOWN = 64
"""Episodes under way that are named."""


class Bulletin:
    """A `Progress` that passes on all it is told to another one, and writes it down every few seconds."""

    def __init__(self, run: Path, book: AccountBook, progress: Progress, pace: Pace) -> None:
        """`pace` counts the same study."""
        self._run = run
        self._book = book
        self._progress = progress
        self._pace = pace
        self._began = datetime.now(UTC)
        self._playing: dict[str, UnderWay] = {}
        self._thinking: dict[tuple[str, int], UnderWay] = {}
        self._thoughts: Counter[str] = Counter()
        self._finished = 0
        self._failed: set[str] = set()
        self._scoring: tuple[int, int] | None = None
        self._state: State = "running"
        self._why = ""
        self.servers: Callable[[], Mapping[str, ServerState]] = dict
        """How the servers are, by address."""

    def starts(self, trial: Trial) -> None:
        what = f"{trial.arm} · {trial.agent} · {trial.task} · run {trial.learning_run}"
        self._playing[trial.id] = UnderWay(what=f"{what} · episode {trial.episode}", since=datetime.now(UTC))
        self._pace.starts(kind_of(trial.phase), trial.id)
        self._progress.starts(trial)

    def advance(self, episode: Episode) -> None:
        trial = episode.trial
        self._playing.pop(trial.id, None)
        good = episode.error is None
        self._pace.ends(kind_of(trial.phase), trial.id, good=good)
        self._finished += good
        if good:
            self._failed.discard(trial.id)
        else:
            self._failed.add(trial.id)
        self._progress.advance(episode)

    def begins(self) -> None:
        self._pace.begins()
        self._progress.begins()

    def thinks(self, who: str) -> None:
        self._thoughts[who] += 1
        thought = who, self._thoughts[who]
        self._thinking[thought] = UnderWay(what=who, since=datetime.now(UTC))
        if kind := kind_of_thought(who):
            self._pace.starts(kind, thought)
        self._progress.thinks(who)

    def thought(self, who: str) -> None:
        """The one of that name that began first."""
        first = min(thought for thought in self._thinking if thought[0] == who)
        del self._thinking[first]
        if kind := kind_of_thought(who):
            self._pace.ends(kind, first)
        self._scoring = None
        self._progress.thought(who)

    def charged(self, charge: Charge) -> None:
        self._progress.charged(charge)

    def scored(self, done: int, tokens: int) -> None:
        self._scoring = (done, tokens) if done < tokens else None
        self._progress.scored(done, tokens)

    @contextmanager
    def posted(self) -> Generator[None]:
        """Written every few seconds while it lasts, within a running event loop."""
        keeper = asyncio.create_task(self._keep_posting())
        try:
            yield
        finally:
            keeper.cancel()

    def ends(self, state: State, why: str = "") -> None:
        """The last word."""
        self._state, self._why = state, why
        self._write()

    async def _keep_posting(self) -> None:
        while True:
            self._write()
            with suppress(StoreError):  # a full disk: what is not written yet is tried again, at the end at last
                self._book.save()
            await asyncio.sleep(EVERY)

    def _write(self) -> None:
        """A status is not worth a run: where it cannot be written, the records will say why."""
        with suppress(OSError):
            write_status(self._run, self.status)

    @property
    def status(self) -> Status:
        left = self._pace.left if self._state == "running" else None
        return Status(
            state=self._state,
            why=self._why,
            at=datetime.now(UTC),
            began=self._began,
            host=socket.gethostname(),
            process=os.getpid(),
            planned=self._pace.total["learn"] + self._pace.total["evaluate"],
            finished=self._finished,
            failed=len(self._failed),
            steps=self._pace.total["step"],
            steps_done=min(self._pace.done["step"], self._pace.total["step"]),
            left=None if left is None else left.seconds,
            left_at_least=left is not None and left.at_least,
            playing=tuple(self._playing.values())[:SHOWN],
            thinking=tuple(self._thinking.values())[:SHOWN],
            scoring=self._scoring,
            servers=self.servers(),
        )
