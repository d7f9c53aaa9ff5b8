"""The records of a run, for reading: what the study was, its lines, its pools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from testbed.config.plugins import resolve_data
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.records.append_only import StoreError, complete_lines
from testbed.records.lines import IterationCommit, Line, LookLine, MemoryCommit, RoundCommit, first_problem, parse_line
from testbed.records.side_files import influence
from testbed.records.side_files.episode_index import EpisodeIndex
from testbed.records.side_files.manifest import Manifest
from testbed.records.side_files.memory_folder import MemoryFolder
from testbed.records.side_files.pool_folder import PoolFolder
from testbed.records.side_files.study_file import StudyFile, StudyRecord
from testbed.records.trial import Episode, without_steps
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.registry import Resolve


class RunRecords:
    """`runs/<study>-<digest8>/` as it is on the disk, also while somebody writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._study = StudyFile(path)
        self._pools = PoolFolder(path / "pools")
        self._memories = MemoryFolder(path / "memories")
        self._manifest = Manifest(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """An existing run. Raises StoreError where there is none."""
        run = cls(path)
        if not run.study_file.exists():
            raise StoreError(f"{path}: this is not a run directory (it has no study.json)")
        run.study()
        return run

    @property
    def study_file(self) -> Path:
        return self._study.path

    @property
    def episodes_file(self) -> Path:
        return self.path / "episodes.jsonl"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def influence_file(self) -> Path:
        return self.path / influence.NAME

    def study(self) -> StudyRecord:
        """What `study.json` says. Raises StoreError as `StudyFile.read`."""
        return self._study.read()

    def recorded_study(self) -> StudyRecord:
        """`study.json` as it is, also where its content is not that of its digest. Raises StoreError as `study`."""
        return self._study.recorded()

    def config(self) -> StudyConfig:
        """Raises ConfigError where the study does not fit this version."""
        return parse_study(self.study().config, str(self.study_file))

    def stored(self) -> Iterator[tuple[int, Episode]]:
        """Every stored episode with the place of its line, in the order of writing; a trial that failed and was
        played again comes more than once. A torn last line is not read: it is owed again."""
        for number, place, line in complete_lines(self.episodes_file):
            yield place, self._episode(f"line {number}", line)

    def outlines(self) -> Iterator[tuple[int, Episode]]:
        """As `stored`, but without anybody's steps, which are not even read: for who asks what was played and what it
        paid."""
        for number, place, line in complete_lines(self.episodes_file):
            yield place, self._episode(f"line {number}", without_steps(line))

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

    def memory_commits(self) -> dict[str, MemoryCommit]:
        """The last committed iteration of every learner of another memory than a pool."""
        return {event.learner: event for event in self.events() if isinstance(event, MemoryCommit)}

    def memory(self, digest: str, resolve: Resolve = resolve_data) -> Memory:
        """A pool or another memory. Raises PoolError where it is not there, damaged, or another.

        `resolve` says what its kind means (and what it raises): by default nothing is imported for it.
        """
        if digest in self._memories.digests():
            return self._memories.load(digest, resolve)
        return self._pools.load(digest)

    def memory_digests(self) -> set[str]:
        """Of all memories that are no pools, whether their files are whole or not."""
        return self._memories.digests()

    def looks(self) -> list[LookLine]:
        """Every look of an adaptive study, in order."""
        return [event for event in self.events() if isinstance(event, LookLine)]

    def learner_states(self) -> dict[str, IterationCommit]:
        """The last committed state of every learner."""
        return {event.learner: event for event in self.events() if isinstance(event, IterationCommit)}

    def populations(self) -> dict[str, RoundCommit]:
        """The last finished round of every population."""
        return {event.population: event for event in self.events() if isinstance(event, RoundCommit)}

    def pool(self, digest: str) -> SkillPool:
        """Raises PoolError where it is not there, damaged, or another."""
        return self._pools.load(digest)

    def pools(self) -> dict[str, SkillPool]:
        """All of them by digest. Raises PoolError as `pool`."""
        return self._pools.all()

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
