"""`Places`: where each finished episode stands in `episodes.jsonl`."""

from __future__ import annotations

import sqlite3

from testbed.records.append_only import StoreError


class Places:
    """Places by trial id, in a temporary database on disk: a run may have more episodes than memory should hold.

    The file is SQLite's own (in TMPDIR), private to this process and gone with it.
    """

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._table.execute("CREATE TABLE places (trial TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")

    def __setitem__(self, trial: str, place: int) -> None:
        try:
            self._table.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", (trial, place))
        except sqlite3.Error as error:
            raise StoreError(
                f"the temporary index of episodes cannot be written: {error}; free some space in TMPDIR"
            ) from error

    def __contains__(self, trial: str) -> bool:
        return self.get(trial) is not None

    def get(self, trial: str) -> int | None:
        found = self._table.execute("SELECT place FROM places WHERE trial = ?", (trial,)).fetchone()
        return None if found is None else int(found[0])

    def starting_with(self, prefix: str) -> int | None:
        """The place of the one trial whose id starts so; None for none, or several."""
        found = self._table.execute(
            "SELECT place FROM places WHERE trial >= ? AND trial < ? LIMIT 2", (prefix, prefix + "\U0010ffff")
        ).fetchall()
        return int(found[0][0]) if len(found) == 1 else None

    def __getitem__(self, trial: str) -> int:
        """Raises KeyError."""
        place = self.get(trial)
        if place is None:
            raise KeyError(trial)
        return place

    def __len__(self) -> int:
        return int(self._table.execute("SELECT count(*) FROM places").fetchone()[0])
