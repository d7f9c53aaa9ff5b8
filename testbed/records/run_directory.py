"""The run directory: append-only, one writer, nothing lost but what was in flight, also where the power goes.

On the disk, whatever happens: `study.json`, before anything is played; every pool and episode, before the line that
commits an iteration or a round with them; that line, before anything is played with what was learned; other episodes
as soon as one is stored `SYNC_EVERY` seconds after the last time. `docs/records.md` says it for users.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout
from pydantic import BaseModel
from pydantic_core import from_json

from testbed.config.study import StudyConfig
from testbed.records import disk
from testbed.records.append_only import StoreError, append_text, complete_lines, drop_torn_line, set_aside, writing
from testbed.records.lines import (
    Commit,
    EventLine,
    IterationCommit,
    LookLine,
    MemberEventLine,
    MemoryCommit,
    RoundCommit,
)
from testbed.records.run_records import RunRecords
from testbed.records.side_files.influence import InfluenceLine
from testbed.records.side_files.study_file import StudyRecord
from testbed.records.side_files.versions import Versions, judge_restart
from testbed.records.trial import Episode
from transfer.memory.events.event import Event
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

SYNC_EVERY = 5.0
"""Seconds from one time that episodes are brought to the disk to the next, while there are any."""


class RunDirectory(RunRecords):
    """`runs/<study>-<digest8>/`. `open` it for reading; for writing, `with RunDirectory.create(...) as run`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = FileLock(path / ".lock")
        self._unsynced: set[Path] = set()
        self._synced = 0.0
        self._open = ExitStack()
        self.notices: list[str] = []
        """What happened to these records that a reader of the results should know; kept in `manifest.jsonl`, too."""

    @classmethod
    def begun(cls, out: Path, config: StudyConfig) -> StudyRecord | None:
        """What was written when this study was begun in this folder; None where it was not. Raises StoreError."""
        run = cls.of(out, config)
        return run.study() if run._study.has_begun() else None

    @classmethod
    def of(cls, out: Path, config: StudyConfig) -> RunDirectory:
        """The directory of this study in that folder, whether it is there or not."""
        return cls(out / f"{config.study}-{config.digest}")

    @classmethod
    def create(cls, out: Path, config: StudyConfig, versions: Versions, date: str = "") -> RunDirectory:
        """The directory of this study, new or to be resumed.

        Raises StoreError for a directory of another layout, one that was begun with other models or prompts, one whose
        `study.json` was changed, or when it cannot be written.
        """
        run = cls.of(out, config)
        with writing(run.path):
            disk.make_folder(run.path / "pools")
            if not run._study.has_begun():
                run._study.write(config, versions, date)
        run.notices += judge_restart(run.path, run.study().versions, versions, config, run.stored)
        return run

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else writes the run meanwhile. Raises StoreError where somebody does."""
        with writing(self.path):
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise StoreError(
                    f"{self.path}: another process is writing it; wait for it or choose another --out"
                ) from None
        try:
            yield
        finally:
            self._lock.release()

    def __enter__(self) -> RunDirectory:
        with ExitStack() as stack:
            stack.enter_context(self.locked())
            with writing(self.path):
                self._resume()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            try:
                with writing(self.path):
                    self.sync()
            except StoreError:
                if error is None:
                    raise

    def _resume(self) -> None:
        """Mend what a death left behind; what a reader should know of it is said and kept."""
        for file in (self.episodes_file, self.events_file, self._manifest.path):
            drop_torn_line(file)
            file.touch()
        drop_torn_line(self.influence_file)
        self._drop_unfinished_iteration()
        disk.sync(self.path)
        self.notices += self._manifest.resume()
        for notice in self.notices:
            self._manifest.note(notice)
        self._unsynced = {self.episodes_file, self.events_file}
        self.sync()

    def sync(self) -> None:
        """From here on a power cut loses nothing that was written, and `manifest.jsonl` tells whether it is changed.

        Raises OSError.
        """
        for place in sorted(self._unsynced):
            disk.sync(place)
        self._unsynced.clear()
        self._manifest.seal()
        self._synced = time.monotonic()

    def append(self, episode: Episode) -> int:
        """Store one finished episode; the place of its line, for `episode`."""
        return self._append(self.episodes_file, [episode])

    def append_influence(self, lines: Sequence[InfluenceLine]) -> None:
        """Store what was measured of finished episodes, in one write."""
        self._append(self.influence_file, lines)

    def _append(self, file: Path, lines: Sequence[BaseModel]) -> int:
        place = append_text(file, "".join(line.model_dump_json() + "\n" for line in lines))
        self._unsynced.add(file)
        if time.monotonic() - self._synced >= SYNC_EVERY:
            with writing(file):
                self.sync()
        return place

    def commit(self, learner: str, state: LearnerState, events: Sequence[Event], tokens: Mapping[str, int]) -> None:
        """Store a learner's iteration: its pool, its events and its state, in one write, all or nothing."""
        committed = IterationCommit(learner=learner, committed=state.iteration, state=state, tokens=tokens)
        self.commit_memory(state.pool, events, committed)

    def commit_memory(self, memory: Memory, events: Sequence[Event], commit: IterationCommit | MemoryCommit) -> None:
        """Store an iteration of the learner of any memory, in one write, all or nothing."""
        self.keep(memory)
        lines = [EventLine(learner=commit.learner, event=event).model_dump_json() for event in events]
        self._commit([*lines, commit.model_dump_json()])

    def commit_round(self, events: Sequence[MemberEventLine], commit: RoundCommit) -> None:
        """Store a population's round: everybody's events and states in one write, all or nothing."""
        self._commit([line.model_dump_json() for line in (*events, commit)])

    def commit_look(self, look: LookLine) -> None:
        """Store what a look at the data found and decided, before anything is played because of it."""
        self._commit([look.model_dump_json()])

    def _commit(self, lines: Sequence[str]) -> None:
        """First what these lines speak of, then the lines."""
        with writing(self.path):
            self.sync()
            append_text(self.events_file, "".join(line + "\n" for line in lines))
            self._unsynced.add(self.events_file)
            self.sync()

    def keep(self, memory: Memory) -> str:
        """Store a pool or another memory, also where its file is there but empty or torn; its digest."""
        return self._pools.keep(memory) if isinstance(memory, SkillPool) else self._memories.keep(memory)

    def _drop_unfinished_iteration(self) -> None:
        """Events behind the last commit belong to an iteration that will be done again; pools stand in commits, too.

        So do those from a line on that is not even JSON: what stands behind it is set aside, and learned once more from
        the same episodes. Raises StoreError for a line of another meaning.
        """
        done = torn = 0
        for number, place, line in complete_lines(self.events_file):
            try:
                from_json(line)
            except ValueError:
                torn = number
                break
            event = self._event(number, line)
            if isinstance(event, Commit):
                done = place + len(line)
                for pool in event.pools():
                    self.keep(pool)
        if torn:
            aside = set_aside(self.events_file, [(done, self.events_file.stat().st_size)])
            self._manifest.cut(self.events_file.name, done)
            self.notices.append(
                f"line {torn} of events.jsonl was damaged; what was learned from there on is learned again from the "
                f"stored episodes, and the lines were moved to {aside.name}"
            )
        elif self.events_file.stat().st_size > done:
            os.truncate(self.events_file, done)
