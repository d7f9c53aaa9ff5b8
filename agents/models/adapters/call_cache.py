"""`CallCache`: what models have answered, in a SQLite file that several processes may share."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path

_log = logging.getLogger(__name__)

_APPLICATION = 0x706D6343
"""SQLite's application_id of such a file."""
_FORMAT = 1
_PATIENCE = 10.0
"""Seconds for which another process may write."""
LARGEST = 1 << 20
"""Characters of an answer that is kept, or believed."""


class CacheError(RuntimeError):
    """The file cannot be used; one sentence."""


class CallCache:
    """Answers by the digest of what was asked of whom. What is stored first is the answer for good.

    Where the file fails later on, it is said once, and nothing is found in it any more: no study depends on it.
    """

    def __init__(self, file: Path) -> None:
        """Raises CacheError where the file is none, is another program's, or cannot be written."""
        self._file = file
        self._base: sqlite3.Connection | None = None
        try:
            base = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)
        except sqlite3.Error as error:
            raise CacheError(f"{file}: no cache of calls can be kept there ({error}); name another file") from error
        try:
            self._prepare(base)
        except sqlite3.Error as error:
            base.close()
            raise CacheError(f"{file}: is no cache of calls ({error}); delete it, or name another file") from error
        except CacheError:
            base.close()
            raise
        self._base = base

    def find(self, key: bytes) -> object:
        """The JSON that is stored there; None for nothing, and for what is no JSON."""
        if self._base is None:
            return None
        try:
            row = self._base.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._leave(error)
            return None
        if row is None or not isinstance(row[0], str) or len(row[0]) > LARGEST:
            return None
        try:
            return json.loads(row[0])
        except (ValueError, RecursionError):
            return None

    def keep(self, key: bytes, answer: Mapping[str, object], *, instead: bool = False) -> None:
        """Unless something is stored there already, or `instead` of it."""
        text = json.dumps(answer)
        if self._base is None or len(text) > LARGEST:
            return
        how = "REPLACE" if instead else "IGNORE"
        try:
            self._base.execute(f"INSERT OR {how} INTO answers VALUES (?, ?)", (key, text))
        except sqlite3.Error as error:
            self._leave(error)

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _prepare(self, base: sqlite3.Connection) -> None:
        base.execute("PRAGMA trusted_schema = OFF")
        [application] = base.execute("PRAGMA application_id").fetchone()
        [version] = base.execute("PRAGMA user_version").fetchone()
        [tables] = base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (_APPLICATION, _FORMAT):
            raise CacheError(f"{self._file}: is another program's database, or another version's; name another file")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(f"PRAGMA application_id = {_APPLICATION}")
        base.execute(f"PRAGMA user_version = {_FORMAT}")
        base.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID")

    def _leave(self, error: sqlite3.Error) -> None:
        _log.warning("%s: the cache of calls fails (%s); models are asked without it", self._file, error)
        self.close()


def digest(*parts: object) -> bytes:
    """SHA-256 of parts that are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
