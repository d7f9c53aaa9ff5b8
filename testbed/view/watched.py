"""`Watched`: what a run directory says of its run now. Reads only, and only what has come since the last look.

So it works while another process writes the run, on this machine or on another one that shares the disk.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import datetime
from pathlib import Path

from testbed.config.study import ConfigError
from testbed.play.course.prices import Prices
from testbed.records.lines import EventLine, IterationCommit, MemoryCommit, RoundCommit, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import Accounts, account_lines
from testbed.records.side_files.status import SILENT, Status, read_status
from testbed.view.planned import CellKey, planned_cells
from testbed.view.snapshot import Cell, Row, Snapshot
from testbed.view.tail import LATEST, EpisodesSeen, Sums, Tail
from transfer.memory.events.course import EpisodesMissing, MemberLost, Warned


class Watched:
    """One run. `look` is cheap once everything has been read."""

    def __init__(self, path: Path, prices: Prices | None = None) -> None:
        """`prices` beside those of the study. Raises StoreError where there is no run, or ConfigError."""
        self.directory = RunDirectory.open(path)
        self.path = path
        self.config = self.directory.config()
        named = prices or Prices()
        self._prices = Prices(hour=named.hour, models={**named.models, **Prices.of(self.config).models})
        try:
            self._planned = planned_cells(self.config)
        except ConfigError:  # a game that is not installed here: the run may be another machine's
            self._planned = Counter[CellKey]()
        self._episodes_file = Tail(self.directory.episodes_file)
        self._events_file = Tail(self.directory.events_file)
        self._episodes = EpisodesSeen()
        self._learners: dict[str, int] = {}
        self._warnings: deque[str] = deque(maxlen=LATEST)
        self._said: datetime | None = None
        self._since = 0.0
        self._heard = False
        """Whether it has said anything new while we listened."""

    def look(self) -> Snapshot:
        """What there is now. Raises OSError where the directory has gone."""
        for place, line in self._episodes_file.new():
            self._episodes.read(place, line)
        for _, line in self._events_file.new():
            self._read_event(line)
        accounts = Accounts()
        for line in account_lines(self.path / "accounts.jsonl"):
            accounts.add(line)
        return self._snapshot(read_status(self.path), accounts)

    def place(self, prefix: str) -> int | None:
        """Where the one episode that was seen lies whose id starts so; its last attempt. None for none, or several."""
        return self._episodes.places.starting_with(prefix) if prefix else None

    def _read_event(self, line: bytes) -> None:
        if not any(word in line for word in (b'"committed"', b'"missing"', b'"lost"', b'"warned"')):
            return
        try:
            event = parse_line(line)
        except ValueError:
            self._episodes.damaged += 1
            return
        match event:
            case IterationCommit() | MemoryCommit():
                self._learners[event.learner] = event.committed
            case RoundCommit():
                self._learners[event.population] = event.committed
            case EventLine(event=EpisodesMissing(episodes=episodes, of=of, why=why), learner=learner):
                self._warnings.appendleft(f"{learner}: learned without {episodes} of {of} episodes: {why}")
            case EventLine(event=MemberLost(why=why), learner=learner):
                self._warnings.appendleft(f"{learner}: left for good: {why}")
            case EventLine(event=Warned(why=why), learner=learner):
                self._warnings.appendleft(f"{learner}: {why}")
            case _:
                pass

    def _snapshot(self, status: Status | None, accounts: Accounts) -> Snapshot:
        episodes, total, hours = self._episodes, accounts.total, accounts.seconds / 3600
        planned = self._planned.total() or (status.planned if status else 0)
        return Snapshot(
            run=str(self.path),
            study=f"{self.config.study}-{self.config.digest}",
            state=self._state(status, planned),
            why=status.why if status else "",
            said=status.at if status else None,
            host=status.host if status else "",
            process=status.process if status else 0,
            planned=planned,
            finished=episodes.finished,
            failed=len(episodes.failed),
            lost=episodes.damaged,
            steps=status.steps if status else 0,
            steps_done=status.steps_done if status else 0,
            left=status.left if status else None,
            left_at_least=bool(status and status.left_at_least),
            playing=status.playing if status else (),
            thinking=status.thinking if status else (),
            scoring=status.scoring if status else None,
            servers=dict(status.servers) if status else {},
            learners=dict(sorted(self._learners.items())),
            iterations=self.config.learning.iterations,
            cells=tuple(self._cells()),
            accounts=tuple(Row.of(post, account, self._prices) for post, account in sorted(accounts.posts.items())),
            tokens=total.tokens,
            calls=total.calls,
            hours=hours,
            cost=self._prices.cost(accounts.posts, hours) if self._prices else None,
            reasons=dict(Counter(episodes.failed.values()).most_common(10)),
            warnings=(*self.directory.notes(), *self._warnings),
            recent=tuple(episodes.recent),
        )

    def _cells(self) -> list[Cell]:
        keys = sorted(self._planned.keys() | self._episodes.cells.keys())
        return [
            Cell(
                **key._asdict(),
                planned=self._planned[key],
                finished=sums.finished,
                mean=sums.total / sums.finished if sums.finished else None,
            )
            for key in keys
            if (sums := self._episodes.cells.get(key, Sums()))
        ]

    def _state(self, status: Status | None, planned: int) -> str:
        """Clocks of two machines may differ, so silence is measured by this one once it has listened for a while."""
        if status is None:
            return "finished" if planned and self._episodes.finished >= planned else "unknown"
        if status.state != "running":
            return status.state
        now = time.monotonic()
        if status.at != self._said:
            self._heard = self._said is not None
            self._said, self._since = status.at, now
        if now - self._since > SILENT:
            return "silent"
        return "silent" if not self._heard and status.silent > SILENT else "running"
