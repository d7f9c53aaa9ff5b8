"""The records of a run, read once: every line is shown to everybody who wants to see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.tables.schema import Column
from testbed.records.lines import Line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.influence import InfluenceLine, influence_lines
from testbed.records.trial import Episode


class Reader:
    """Sees the lines of a run as they were written, all events before all episodes; ignores what it does not want."""

    def event(self, order: int, line: Line) -> None:
        """The line at place `order` of `events.jsonl`."""

    def influence(self, line: InfluenceLine) -> None:
        """What was measured of the episode that is shown next; of none, where it follows all of them."""

    def episode(self, episode: Episode) -> None:
        """The last word on one trial."""


def read_records(run: RunDirectory, readers: Sequence[Reader]) -> None:
    """One pass over `events.jsonl`, `influence.jsonl`, `episodes.jsonl`. Raises StoreError in one sentence."""
    for order, event in enumerate(run.events()):
        for reader in readers:
            reader.event(order, event)
    measured = {line.trial: line for line in influence_lines(run.path)}
    for episode in run.episodes():
        line = measured.pop(episode.trial.id, None)
        for reader in readers:
            if line is not None:
                reader.influence(line)
            reader.episode(episode)
    for line in measured.values():
        for reader in readers:
            reader.influence(line)


class Rows:
    """Rows of a documented table, kept column by column with equal texts once: a million of them fit in memory."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self._values: dict[str, list[Any]] = {column.name: [] for column in columns}
        self._texts: dict[str, str] = {}

    def add(self, row: dict[str, Any]) -> None:
        """What a row does not name is missing in it."""
        for name, values in self._values.items():
            value = row.get(name)
            values.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)

    def __len__(self) -> int:
        return max(map(len, self._values.values()), default=0)

    def frame(self, *order: str) -> pd.DataFrame:
        """All rows, in the order of these columns: that of the records depends on who came to its end first."""
        frame = pd.DataFrame(self._values)
        return frame.sort_values(list(order), kind="stable", ignore_index=True) if order else frame
