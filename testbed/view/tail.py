"""Files that grow: what has come since the last look, and what the episodes among it add up to."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from testbed.play.places import Places
from testbed.records.append_only import complete_lines
from testbed.records.trial import Trial
from testbed.view.planned import CellKey
from testbed.view.snapshot import Recent

LATEST = 50
"""Episodes and warnings that are kept."""


@dataclass
class Tail:
    """A file that grows: what has come since the last look."""

    file: Path
    place: int = 0

    def new(self) -> Iterator[tuple[int, bytes]]:
        """Complete lines, each with its place."""
        if self.file.exists() and self.file.stat().st_size < self.place:
            self.place = 0  # begun anew, or cut back
        for _, place, line in complete_lines(self.file, self.place):
            self.place = place + len(line)
            yield place, line


@dataclass
class Sums:
    finished: int = 0
    total: float = 0.0


@dataclass
class EpisodesSeen:
    """What `episodes.jsonl` has said so far."""

    cells: defaultdict[CellKey, Sums] = field(default_factory=lambda: defaultdict(Sums))
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Reason by trial."""
    recent: deque[Recent] = field(default_factory=lambda: deque(maxlen=LATEST))
    finished: int = 0
    damaged: int = 0
    places: Places = field(default_factory=Places)

    def read(self, place: int, line: bytes) -> None:
        try:
            content = from_json(line)
            trial = Trial.model_validate(content["trial"])
            error: str | None = content.get("error")
            total = None if error is not None else float(content["seats"][content["focal"]]["total"])
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
            self.damaged += 1
            return
        self.places[trial.id] = place
        if total is None:
            self.failed[trial.id] = str(error)
        else:
            self.failed.pop(trial.id, None)
            self.finished += 1
            sums = self.cells[CellKey.of(trial)]
            sums.finished += 1
            sums.total += total
        self.recent.appendleft(
            Recent(
                id=trial.id,
                phase=trial.phase,
                arm=trial.arm,
                agent=trial.agent,
                task=trial.task,
                total=total,
                error=error,
            )
        )
