"""The run directory: append-only, one writer, nothing lost but what was in flight, also where the power goes.

On the disk, whatever happens: `study.json`, before anything is played; every pool and episode, before the line that
commits an iteration or a round with them; that line, before anything is played with what was learned; other episodes
as soon as one is stored `SYNC_EVERY` seconds after the last time. `docs/records.md` says it for users.
"""

from __future__ import annotations

import datetime
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import from_json

from testbed.config.study import ConfigError, StudyConfig, parse_study
from testbed.records import disk
from testbed.records.append_only import StoreError, append_text, complete_lines, drop_torn_line, set_aside, writing
from testbed.records.lines import (
    EventLine,
    IterationCommit,
    Line,
    MemberEventLine,
    RoundCommit,
    first_problem,
    parse_line,
)
from testbed.records.side_files.episode_index import EpisodeIndex
from testbed.records.side_files.manifest import Manifest
from testbed.records.trial import Episode
from testbed.records.versions import Versions, changed_contexts, changed_packages, refused_changes
from transfer.memory.events import Event
from transfer.memory.pool import PoolError, SkillPool
from transfer.memory.state import LearnerState

FORMAT = 1
"""Version of the run directory's layout."""

SYNC_EVERY = 5.0
"""Seconds from one time that episodes are brought to the disk to the next, while there are any."""

DIGEST = re.compile(r"[0-9a-f]{16}")
"""The name of a pool."""


class StudyRecord(BaseModel):
    """`study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    digest: str
    config: Mapping[str, Any]
    versions: Versions
    date: str = ""
    """The day (ISO 8601) that dated chat templates print throughout this run; "" in runs of before there was one."""

    @field_validator("date")
    @classmethod
    def _is_day(cls, day: str) -> str:
        return day and datetime.date.fromisoformat(day).isoformat()


class RunDirectory:
    """`runs/<study>-<digest8>/`. `open` it for reading; for writing, `with RunDirectory.create(...) as run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")
        self._manifest = Manifest(path)
        self._kept: set[str] = set()
        self._unsynced: set[Path] = set()
        self._synced = 0.0
        self._open = ExitStack()
        self.notices: list[str] = []
        """What happened to these records that a reader of the results should know; kept in `manifest.jsonl`, too."""

    @classmethod
    def begun(cls, out: Path, config: StudyConfig) -> StudyRecord | None:
        """What was written when this study was begun in this folder; None where it was not. Raises StoreError."""
        run = cls.of(out, config)
        return run.study() if run._has_begun() else None

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
            if not run._has_begun():
                content = config.model_dump(mode="json")
                study = StudyRecord(format=FORMAT, digest=config.digest, config=content, versions=versions, date=date)
                disk.write_atomically(run.study_file, study.model_dump_json(indent=1) + "\n")
        run._compare(run.study().versions, versions, config)
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run, for reading. Raises StoreError where there is none."""
        run = cls(path)
        if not run.study_file.exists():
            raise StoreError(f"{path}: this is not a run directory (it has no study.json)")
        run.study()
        return run

    @property
    def study_file(self) -> Path:
        return self.path / "study.json"

    @property
    def episodes_file(self) -> Path:
        return self.path / "episodes.jsonl"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    def study(self) -> StudyRecord:
        """What `study.json` says.

        Raises StoreError for another layout, a broken file, or one that was changed after the run was begun.
        """
        study = self.recorded_study()
        try:
            digest = parse_study(study.config, str(self.study_file)).digest
        except ConfigError:
            return study  # of another version of this program: `config` says what does not fit
        if digest != study.digest:
            raise StoreError(
                f"{self.study_file}: was changed after the run was begun (its content has the digest {digest}, it says "
                f"{study.digest}); restore it, and change the study in its own file, which makes another run"
            )
        return study

    def recorded_study(self) -> StudyRecord:
        """`study.json` as it is, also where its content is not that of its digest. Raises StoreError as `study`."""
        try:
            content: Any = from_json(self.study_file.read_bytes())
        except (OSError, ValueError) as error:
            remedy = "restore it from a copy" if self._has_lines() else "the same `procmem run` writes it anew"
            raise StoreError(f"{self.study_file}: cannot be read: {error}; {remedy}") from None
        layout = content.get("format") if isinstance(content, dict) else None
        if layout != FORMAT:
            raise StoreError(f"{self.path}: its layout is {layout}, this version's is {FORMAT}; choose another --out")
        try:
            return StudyRecord.model_validate(content)
        except ValidationError as error:
            raise StoreError(f"{self.study_file}: is broken: {first_problem(error)}; choose another --out") from None

    def config(self) -> StudyConfig:
        """Raises ConfigError where the study does not fit this version."""
        return parse_study(self.study().config, str(self.study_file))

    def _has_begun(self) -> bool:
        """Whether there is a `study.json` to go by: an empty or torn one, before anything was stored, is none."""
        try:
            from_json(self.study_file.read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            return self._has_lines()
        return True

    def _has_lines(self) -> bool:
        return any(True for file in (self.episodes_file, self.events_file) for _ in complete_lines(file))

    def _compare(self, begun: Versions, now: Versions, config: StudyConfig) -> None:
        """Raises StoreError where this would become another run; notes what may matter."""
        changes = list(refused_changes(begun, now))
        contexts = changed_contexts(begun, now)
        for name, (was, has) in contexts.items():
            change = f"the context of agent {name}'s model (it was {was} tokens and is {has})"
            if self._cuts_prompts(name, config, has):
                changes.append(f"{change}, by which prompts were or would be cut,")
            else:
                self.notices.append(f"{change} has changed; no prompt so far was cut by either")
        if changes:
            raise StoreError(
                f"{self.path}: {', '.join(changes)} has changed since this run was begun; choose another --out"
            )
        if packages := changed_packages(begun, now):
            self.notices.append(
                f"begun with other versions of packages than are installed now: {', '.join(packages)}; "
                "numbers may differ in what follows"
            )

    def _cuts_prompts(self, agent: str, config: StudyConfig, context: int) -> bool:
        """Whether any prompt so far was cut, or would not fit into so many tokens with its answer."""
        answer = max((each.max_tokens for each in config.agents if each.name == agent), default=0)
        members = {name for name, kind in config.members.items() if kind == agent} | {agent}
        return any(
            step.dropped_turns > 0 or step.prompt_tokens + answer > context
            for _, episode in self.stored()
            for seat in episode.seats.values()
            if seat.agent in members
            for step in seat.steps
        )

    # -- writing -------------------------------------------------------------------------------------------------

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
        place = append_text(self.episodes_file, episode.model_dump_json() + "\n")
        self._unsynced.add(self.episodes_file)
        if time.monotonic() - self._synced >= SYNC_EVERY:
            with writing(self.episodes_file):
                self.sync()
        return place

    def commit(self, learner: str, state: LearnerState, events: Sequence[Event], tokens: Mapping[str, int]) -> None:
        """Store a learner's iteration: its pool, its events and its state, in one write, all or nothing."""
        self.keep(state.pool)
        lines = [EventLine(learner=learner, event=event).model_dump_json() for event in events]
        committed = IterationCommit(learner=learner, committed=state.iteration, state=state, tokens=tokens)
        self._commit([*lines, committed.model_dump_json()])

    def commit_round(self, events: Sequence[MemberEventLine], commit: RoundCommit) -> None:
        """Store a population's round: everybody's events and states in one write, all or nothing."""
        self._commit([line.model_dump_json() for line in (*events, commit)])

    def _commit(self, lines: Sequence[str]) -> None:
        """First what these lines speak of, then the lines."""
        with writing(self.path):
            self.sync()
            append_text(self.events_file, "".join(line + "\n" for line in lines))
            self._unsynced.add(self.events_file)
            self.sync()

    def keep(self, pool: SkillPool) -> str:
        """Store a pool, also where its file is there but empty or torn; its digest."""
        if pool.digest not in self._kept:
            with writing(self.path / "pools"):
                if not self._is_stored(pool.digest):
                    disk.write_atomically(self._pool_file(pool.digest), pool.dumps())
            self._kept.add(pool.digest)
        return pool.digest

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
            if isinstance(event, IterationCommit | RoundCommit):
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

    # -- reading -------------------------------------------------------------------------------------------------

    def stored(self) -> Iterator[tuple[int, Episode]]:
        """Every stored episode with the place of its line, in the order of writing; a trial that failed and was
        played again comes more than once. A torn last line is not read: it is owed again."""
        for number, place, line in complete_lines(self.episodes_file):
            yield place, self._episode(f"line {number}", line)

    def episode(self, place: int) -> Episode:
        """The episode whose line begins at `place`."""
        with self.episodes_file.open("rb") as stream:
            stream.seek(place)
            return self._episode(f"byte {place}", stream.readline())

    def index(self) -> EpisodeIndex:
        """Where every episode lies, without reading them all: for a `with` block."""
        return EpisodeIndex(self.episodes_file)

    def find(self, prefix: str) -> Episode:
        """The last word on the one trial whose id starts so. Raises StoreError where there is none, or more."""
        with self.index() as index:
            entries = index.starting_with(prefix)
        if len(entries) != 1:
            problem = "no episode" if not entries else f"{len(entries)} episodes"
            raise StoreError(
                f"{self.path}: {problem} with an id that starts with {prefix!r}; `procmem show {self.path}` lists them"
            )
        return self.episode(entries[0].place)

    def episodes(self) -> Iterator[Episode]:
        """The last word on each trial: successes as they were written, then the failures not made good."""
        failed: dict[str, Episode] = {}
        for _, episode in self.stored():
            if episode.error is None:
                failed.pop(episode.trial.id, None)
                yield episode
            else:
                failed[episode.trial.id] = episode
        yield from failed.values()

    def events(self) -> Iterator[Line]:
        """All lines of `events.jsonl` in order."""
        for number, _, line in complete_lines(self.events_file):
            yield self._event(number, line)

    def notes(self) -> list[str]:
        """What happened to the records that a reader of the results should know, each with its time."""
        try:
            return [f"{note.note} ({note.at})" for note in self._manifest.notes()]
        except ValueError as error:
            return [f"{self._manifest.path.name} is damaged: {error}"]

    def learner_states(self) -> dict[str, IterationCommit]:
        """The last committed state of every learner."""
        return {event.learner: event for event in self.events() if isinstance(event, IterationCommit)}

    def populations(self) -> dict[str, RoundCommit]:
        """The last finished round of every population."""
        return {event.population: event for event in self.events() if isinstance(event, RoundCommit)}

    def pool(self, digest: str) -> SkillPool:
        """Raises PoolError where it is not there, damaged, or another."""
        if not DIGEST.fullmatch(digest):
            raise PoolError(f"{digest[:60]!r} is no name of a pool: a digest of 16 hexadecimal digits is")
        pool = SkillPool.load(self._pool_file(digest))
        if pool.digest != digest:
            raise PoolError(f"{self._pool_file(digest)} holds the pool {pool.digest}")
        return pool

    def pools(self) -> dict[str, SkillPool]:
        return {path.stem: self.pool(path.stem) for path in sorted((self.path / "pools").glob("*.json"))}

    def _pool_file(self, digest: str) -> Path:
        return self.path / "pools" / f"{digest}.json"

    def _is_stored(self, digest: str) -> bool:
        try:
            return self.pool(digest).digest == digest
        except PoolError:
            return False

    def _episode(self, where: str, line: bytes) -> Episode:
        try:
            return Episode.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(
                f"{self.episodes_file}, {where}: not an episode ({first_problem(error)}); "
                f"`procmem check run {self.path} --repair` sets that line aside, and the episode is played again"
            ) from None

    def _event(self, number: int, line: bytes) -> Line:
        try:
            return parse_line(line)
        except ValueError as error:
            raise StoreError(
                f"{self.events_file}, line {number}: not an event ({error}); `procmem check run {self.path} --repair` "
                "sets aside what stands from there on, and the same study learns it again"
            ) from None
