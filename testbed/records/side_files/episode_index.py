"""Where each episode of `episodes.jsonl` lies: a side file, so that one of 10⁶ is found without reading the others.

The index is made when it is first asked for, goes on where it ended when lines were appended, is made anew when the
file is another than it was, and may be thrown away at any time. Where it cannot be written it is made in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from testbed.records.append_only import StoreError, complete_lines
from testbed.records.trial import Trial

NAME = ".episodes.sqlite"
VERSION = 2

TABLES = """
CREATE TABLE about (version INTEGER, bytes INTEGER, size INTEGER, modified INTEGER);
CREATE TABLE episodes (
    place INTEGER PRIMARY KEY, id TEXT, failed INTEGER, phase TEXT, arm TEXT, agent TEXT, task TEXT,
    learning_run INTEGER, iteration INTEGER, episode INTEGER, memory TEXT, total REAL
);
CREATE INDEX ids ON episodes (id);
"""


class Entry(NamedTuple):
    """One line of `episodes.jsonl`, in short."""

    place: int
    """Of its first byte."""
    id: str
    failed: bool
    phase: str
    arm: str
    agent: str
    task: str
    learning_run: int
    iteration: int
    episode: int
    memory: str
    """Name of the memory; "" for the study's own pool, or none."""
    total: float | None
    """Return of the focal seat; None where it failed."""


class EpisodeIndex:
    """The entries of one file, brought up to date when it is opened. Use it in a `with` block.

    Raises StoreError for a line that is no episode.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path = file.parent / NAME
        self._connection = self._opened()

    def __enter__(self) -> EpisodeIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def entries(self) -> Iterator[Entry]:
        """All of them, in the order of writing."""
        for row in self._connection.execute("SELECT * FROM episodes ORDER BY place"):
            yield _entry(row)

    def latest(self) -> list[Entry]:
        """The last word on each trial: successes as they were written, then the failures not made good."""
        finished = "SELECT * FROM episodes WHERE NOT failed ORDER BY place"
        owed = (
            "SELECT * FROM episodes WHERE place IN (SELECT max(place) FROM episodes GROUP BY id) "
            "AND id NOT IN (SELECT id FROM episodes WHERE NOT failed) ORDER BY place"
        )
        return [_entry(row) for query in (finished, owed) for row in self._connection.execute(query)]

    def starting_with(self, prefix: str) -> list[Entry]:
        """The last word on each trial whose id starts so."""
        rows = self._connection.execute(
            "SELECT * FROM episodes WHERE id >= ? AND id < ? ORDER BY failed DESC, place",
            (prefix, prefix + "\U0010ffff"),
        )
        return list({entry.id: entry for entry in map(_entry, rows)}.values())

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._updated(sqlite3.connect(self._path, timeout=1.0))
        except sqlite3.OperationalError:  # on a disk that is full or read-only, or being written by somebody else
            return self._updated(sqlite3.connect(":memory:"))
        except sqlite3.DatabaseError:  # damaged
            self._path.unlink()
            return self._updated(sqlite3.connect(self._path))

    def _updated(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            connection.execute("PRAGMA trusted_schema = OFF")  # the directory may be a stranger's
            with connection:
                self._update(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _update(self, connection: sqlite3.Connection) -> None:
        status = self._file.stat() if self._file.exists() else None
        size, modified = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        known = self._known(connection)
        if known == (VERSION, size, modified):
            return
        start = self._still_good(connection, size) if known and known[0] == VERSION else 0
        if start == 0:
            for table in ("about", "episodes"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in TABLES.split(";"):
                connection.execute(statement)
        end = start

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal end
            for number, place, line in complete_lines(self._file, start):
                end = place + len(line)
                yield tuple(_read(self._file, number, place, line))

        connection.executemany(f"INSERT INTO episodes VALUES ({', '.join('?' * len(Entry._fields))})", rows())
        connection.execute("DELETE FROM about")
        connection.execute("INSERT INTO about VALUES (?, ?, ?, ?)", (VERSION, end, size, modified))

    @staticmethod
    def _known(connection: sqlite3.Connection) -> tuple[int, int, int] | None:
        with closing(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'")) as found:
            if found.fetchone() is None:
                return None
        return connection.execute("SELECT version, size, modified FROM about").fetchone()

    def _still_good(self, connection: sqlite3.Connection, size: int) -> int:
        """Where the indexed part ends, if the file has only grown since: its last line is still what it was; else 0."""
        bytes, before = connection.execute("SELECT bytes, size FROM about").fetchone()
        last = connection.execute("SELECT place, id FROM episodes ORDER BY place DESC LIMIT 1").fetchone()
        if last is None or size < before:
            return 0
        place, id = last
        with self._file.open("rb") as stream:
            stream.seek(place)
            line = stream.read(bytes - place)
        try:
            return bytes if line.endswith(b"\n") and _read(self._file, 0, place, line).id == id else 0
        except StoreError:
            return 0


def _entry(row: tuple[Any, ...]) -> Entry:
    entry = Entry(*row)
    return entry._replace(failed=bool(entry.failed))


def _read(file: Path, number: int, place: int, line: bytes) -> Entry:
    """What the index keeps of a line, without checking every step of it."""
    try:
        content = from_json(line)
        trial = Trial.model_validate(content["trial"])
        failed = content.get("error") is not None
        total = None if failed else float(content["seats"][content["focal"]]["total"])
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(
            f"{file}, line {number}: not an episode; `procmem check run {file.parent} --repair` sets it aside, and the "
            "same study plays it again"
        ) from None
    return Entry(
        place, trial.id, failed, trial.phase, trial.arm, trial.agent, trial.task, trial.learning_run, trial.iteration,
        trial.episode, trial.memory or "", total,
    )  # fmt: skip
