"""The run directory: append-only, one writer, nothing lost but what was in flight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from testbed.config import StudyConfig
from testbed.trial import Episode
from transfer.learner import Event, LearnerState
from transfer.pool import SkillPool

FORMAT = 1
"""Version of the run directory's layout."""


class StoreError(RuntimeError):
    """A run directory that cannot be used; one sentence that names the file and the remedy."""


class Committed(BaseModel):
    """The line that ends a learner's iteration in `events.jsonl`. Without it the iteration never happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: str
    committed: int
    """Iterations finished."""
    state: LearnerState
    tokens: Mapping[str, int]
    """Length of each skill of the pool, in tokens of the acting model."""


class RunDirectory:
    """`runs/<study>-<digest8>/`. `open` it for reading; for writing, `with RunDirectory.create(...) as run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")

    @classmethod
    def create(cls, out: Path, config: StudyConfig, versions: Mapping[str, Any]) -> RunDirectory:
        """The directory of this study, new or to be resumed.

        Raises StoreError for a directory of another layout, or when it cannot be written.
        """
        run = cls(out / f"{config.study}-{config.digest}")
        try:
            (run.path / "pools").mkdir(parents=True, exist_ok=True)
            if not run.study_file.exists():
                study = {
                    "format": FORMAT,
                    "digest": config.digest,
                    "config": config.model_dump(mode="json"),
                    "versions": versions,
                }
                partial = run.study_file.with_suffix(".partial")
                partial.write_text(json.dumps(study, indent=1, sort_keys=True) + "\n", encoding="utf-8")
                partial.replace(run.study_file)
        except OSError as error:
            raise StoreError(f"{run.path}: cannot be written: {error.strerror or error}") from None
        run.study()
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

    def study(self) -> dict[str, Any]:
        """What `study.json` says. Raises StoreError for another layout or a broken file."""
        try:
            study = json.loads(self.study_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.study_file}: cannot be read: {error}") from None
        layout = study.get("format") if isinstance(study, dict) else None
        if layout != FORMAT:
            raise StoreError(f"{self.path}: its layout is {layout}, this version's is {FORMAT}; choose another --out")
        return study

    def config(self) -> StudyConfig:
        try:
            return StudyConfig.model_validate(self.study()["config"])
        except (KeyError, ValidationError) as error:
            raise StoreError(f"{self.study_file}: its study does not fit this version: {error}") from None

    # -- writing -------------------------------------------------------------------------------------------------

    def __enter__(self) -> RunDirectory:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{self.path}: another process is writing it; wait for it or choose another --out"
            ) from None
        for file in (self.episodes_file, self.events_file):
            _drop_torn_line(file)
        self._drop_unfinished_iteration()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def append(self, episode: Episode) -> None:
        """Store one finished episode."""
        _append(self.episodes_file, episode.model_dump_json() + "\n")

    def commit(self, learner: str, state: LearnerState, events: Sequence[Event], tokens: Mapping[str, int]) -> None:
        """Store a learner's iteration: its pool, its events and its state, in one write, all or nothing."""
        self.keep(state.pool)
        lines = [
            json.dumps({"learner": learner, **event.model_dump(mode="json")}, ensure_ascii=False) for event in events
        ]
        committed = Committed(learner=learner, committed=state.iteration, state=state, tokens=tokens)
        lines.append(committed.model_dump_json())
        _append(self.events_file, "".join(line + "\n" for line in lines))

    def keep(self, pool: SkillPool) -> str:
        """Store a pool; its digest."""
        try:
            pool.save(self.path / "pools")
        except OSError as error:
            raise StoreError(f"{self.path / 'pools'}: cannot be written: {error.strerror or error}") from None
        return pool.digest

    def _drop_unfinished_iteration(self) -> None:
        """Events behind the last commit belong to an iteration that will be done again."""
        if not self.events_file.exists():
            return
        end = done = 0
        with self.events_file.open("rb") as file:
            for line in file:
                end += len(line)
                if b'"committed":' in line and "committed" in json.loads(line):
                    done = end
        os.truncate(self.events_file, done)

    # -- reading -------------------------------------------------------------------------------------------------

    def episodes(self) -> Iterator[Episode]:
        """Finished episodes, the last word on each trial. A torn last line is not read: it is owed again."""
        latest: dict[str, Episode] = {}
        for number, line in _lines(self.episodes_file):
            try:
                episode = Episode.model_validate_json(line)
            except ValidationError as error:
                raise StoreError(
                    f"{self.episodes_file}, line {number}: not an episode: {error.errors()[0]['msg']}"
                ) from None
            latest[episode.trial.id] = episode
        yield from latest.values()

    def events(self) -> Iterator[dict[str, Any]]:
        """All lines of `events.jsonl` in order, commits among them."""
        for number, line in _lines(self.events_file):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise StoreError(f"{self.events_file}, line {number}: not JSON: {error}") from None

    def learner_states(self) -> dict[str, Committed]:
        """The last committed state of every learner."""
        states = (event for event in self.events() if "committed" in event)
        return {event["learner"]: Committed.model_validate(event) for event in states}

    def pool(self, digest: str) -> SkillPool:
        return SkillPool.load(self.path / "pools" / f"{digest}.json")

    def pools(self) -> dict[str, SkillPool]:
        return {path.stem: SkillPool.load(path) for path in sorted((self.path / "pools").glob("*.json"))}


def _append(file: Path, text: str) -> None:
    """One write to the end of a file. On failure (a full disk) the torn part is cut off again. Raises StoreError."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        with file.open("ab", buffering=0) as stream:
            start = stream.tell()
            try:
                written = 0
                while written < len(data):
                    written += stream.write(data[written:])
            except OSError:
                stream.truncate(start)
                raise
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be written: {error.strerror or error}; free some space and run again"
        ) from None


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Complete lines with their numbers from 1."""
    if not file.exists():
        return
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield number, line


def _drop_torn_line(file: Path) -> None:
    """Cut a file back to the end of its last complete line."""
    if not file.exists():
        return
    with file.open("rb+") as stream:
        size = end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            stream.truncate(end)
