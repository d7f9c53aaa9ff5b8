"""The run directory: append-only, one writer, nothing lost but what was in flight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.skill import AS_WRITTEN
from testbed.config.study import StudyConfig, parse_study
from testbed.records.append_only import StoreError, append_text, complete_lines, drop_torn_line, writing
from testbed.records.trial import Episode
from transfer.exchange.population import Society
from transfer.memory.events import Event
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

FORMAT = 1
"""Version of the run directory's layout."""


class Versions(BaseModel):
    """What else a result depends on, beside the study file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: Mapping[str, str]
    models: Mapping[str, Mapping[str, str | int]]
    """Per agent: its ModelCard."""
    prompts: str
    """Digest of the wording."""
    servers: Mapping[str, Mapping[str, str | int | bool | None]] = Field(default_factory=dict)
    """Per served agent: what a probe found at the beginning that its server can and cannot do."""


class StudyRecord(BaseModel):
    """`study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    digest: str
    config: Mapping[str, Any]
    versions: Versions


class Recorded(Event):
    """An event of the learner called `learner`: a line of `events.jsonl`."""

    learner: str


class Committed(BaseModel):
    """The line that ends a learner's iteration in `events.jsonl`. Without it the iteration never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: str
    committed: int
    """Iterations finished."""
    state: LearnerState
    tokens: Mapping[str, int]
    """Length of each skill of the pool, in tokens of the acting model."""


class Told(Recorded):
    """An event of a member of a population; `learner` is the member's own key."""

    population: str
    """`policy/task/learning run`."""


class Gathered(BaseModel):
    """The line that ends a population's round in `events.jsonl`. Without it the round never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    population: str
    committed: int
    """Rounds finished."""
    society: Society
    """Whole, pools among it: a pool's digest leaves out who the parents of its skills are."""
    tokens: Mapping[str, int]
    """Length of each skill that this round was the first to hold, in tokens of its first holder's model."""


Line = Recorded | Committed | Told | Gathered
"""A line of `events.jsonl`."""


class RunDirectory:
    """`runs/<study>-<digest8>/`. `open` it for reading; for writing, `with RunDirectory.create(...) as run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")

    @classmethod
    def create(cls, out: Path, config: StudyConfig, versions: Versions) -> RunDirectory:
        """The directory of this study, new or to be resumed.

        Raises StoreError for a directory of another layout, one that was begun with other models or prompts, or when
        it cannot be written.
        """
        run = cls(out / f"{config.study}-{config.digest}")
        with writing(run.path):
            (run.path / "pools").mkdir(parents=True, exist_ok=True)
            if not run.study_file.exists():
                content = config.model_dump(mode="json")
                study = StudyRecord(format=FORMAT, digest=config.digest, config=content, versions=versions)
                partial = run.study_file.with_suffix(".partial")
                partial.write_text(study.model_dump_json(indent=1) + "\n", encoding="utf-8")
                partial.replace(run.study_file)
        begun = run.study().versions
        changed = [
            f"the model of agent {name}" for name in versions.models if begun.models.get(name) != versions.models[name]
        ]
        if changed or begun.prompts != versions.prompts:
            what = ", ".join(changed) or "the wording of the prompts"
            raise StoreError(f"{run.path}: {what} has changed since this run was begun; choose another --out")
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
        """What `study.json` says. Raises StoreError for another layout or a broken file."""
        try:
            study = json.loads(self.study_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.study_file}: cannot be read: {error}; choose another --out") from None
        layout = study.get("format") if isinstance(study, dict) else None
        if layout != FORMAT:
            raise StoreError(f"{self.path}: its layout is {layout}, this version's is {FORMAT}; choose another --out")
        try:
            return StudyRecord.model_validate(study)
        except ValidationError as error:
            raise StoreError(f"{self.study_file}: is broken: {_first(error)}; choose another --out") from None

    def config(self) -> StudyConfig:
        """Raises ConfigError where the study does not fit this version."""
        return parse_study(self.study().config, str(self.study_file))

    # -- writing -------------------------------------------------------------------------------------------------

    def __enter__(self) -> RunDirectory:
        try:
            with writing(self.path):
                self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{self.path}: another process is writing it; wait for it or choose another --out"
            ) from None
        try:
            with writing(self.path):
                for file in (self.episodes_file, self.events_file):
                    drop_torn_line(file)
                self._drop_unfinished_iteration()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def append(self, episode: Episode) -> int:
        """Store one finished episode; the place of its line, for `episode`."""
        return append_text(self.episodes_file, episode.model_dump_json() + "\n")

    def commit(self, learner: str, state: LearnerState, events: Sequence[Event], tokens: Mapping[str, int]) -> None:
        """Store a learner's iteration: its pool, its events and its state, in one write, all or nothing."""
        self.keep(state.pool)
        lines = [Recorded(learner=learner, **dict(event)).model_dump_json() for event in events]
        committed = Committed(learner=learner, committed=state.iteration, state=state, tokens=tokens)
        lines.append(committed.model_dump_json())
        append_text(self.events_file, "".join(line + "\n" for line in lines))

    def gather(self, told: Sequence[Told], gathered: Gathered) -> None:
        """Store a population's round: everybody's events and states in one write, all or nothing."""
        append_text(self.events_file, "".join(line.model_dump_json() + "\n" for line in (*told, gathered)))

    def keep(self, pool: SkillPool) -> str:
        """Store a pool; its digest."""
        with writing(self.path / "pools"):
            pool.save(self.path / "pools")
        return pool.digest

    def _drop_unfinished_iteration(self) -> None:
        """Events behind the last commit belong to an iteration that will be done again."""
        end = done = 0
        for number, place, line in complete_lines(self.events_file):
            end = place + len(line)
            if isinstance(self._event(number, line), Committed | Gathered):
                done = end
        if end > done:
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

    def learner_states(self) -> dict[str, Committed]:
        """The last committed state of every learner."""
        return {event.learner: event for event in self.events() if isinstance(event, Committed)}

    def _episode(self, where: str, line: bytes) -> Episode:
        try:
            return Episode.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(
                f"{self.episodes_file}, {where}: not an episode ({_first(error)}); "
                "remove that line and the episode is played again"
            ) from None

    def societies(self) -> dict[str, Gathered]:
        """The last finished round of every population."""
        return {event.population: event for event in self.events() if isinstance(event, Gathered)}

    def _event(self, number: int, line: bytes) -> Line:
        social, committed = b'"population":' in line, b'"committed":' in line
        kind = (Gathered if committed else Told) if social else Committed if committed else Recorded
        try:
            return kind.model_validate_json(line, context=AS_WRITTEN)
        except ValidationError as error:
            raise StoreError(
                f"{self.events_file}, line {number}: not an event ({_first(error)}); choose another --out"
            ) from None

    def pool(self, digest: str) -> SkillPool:
        return SkillPool.load(self.path / "pools" / f"{digest}.json")

    def pools(self) -> dict[str, SkillPool]:
        return {path.stem: SkillPool.load(path) for path in sorted((self.path / "pools").glob("*.json"))}


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
