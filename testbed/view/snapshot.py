"""`Watched`: what a run directory says of its run now. Reads only, and only what has come since the last look.

So it works while another process writes the run, on this machine or on another one that shares the disk.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from agents.models.adapters.metered import Account
from testbed.config.study import ConfigError
from testbed.play.course.prices import Prices
from testbed.play.places import Places
from testbed.records.append_only import complete_lines
from testbed.records.lines import EventLine, IterationCommit, MemoryCommit, RoundCommit, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import Accounts, Post, account_lines
from testbed.records.side_files.status import SILENT, ServerState, Status, UnderWay, read_status
from testbed.records.trial import Trial
from testbed.view.planned import CellKey, planned_cells
from transfer.memory.events import EpisodesMissing, MemberLost, Warned

LATEST = 50
"""Episodes and warnings that are kept."""


class Cell(BaseModel):
    """One cell of the study, so far."""

    model_config = ConfigDict(frozen=True)

    phase: str
    arm: str
    agent: str
    task: str
    memory: str = ""
    source_agent: str = ""
    source_task: str = ""
    planned: int
    finished: int
    mean: float | None
    """Mean return of what is finished: no estimate of anything, as cells fill up in no random order."""


class Row(BaseModel):
    """One post of the accounts."""

    model_config = ConfigDict(frozen=True)

    agent: str
    model: str
    use: str
    arm: str
    memory: str
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    scored: int
    scored_tokens: int
    seconds: float
    recalled: int = 0
    """Answers that stood in a cache of calls."""
    cost: float


class Recent(BaseModel):
    """One of the latest episodes."""

    model_config = ConfigDict(frozen=True)

    id: str
    phase: str
    arm: str
    agent: str
    task: str
    total: float | None
    error: str | None


class Snapshot(BaseModel):
    """A run at one moment."""

    model_config = ConfigDict(frozen=True)

    run: str
    study: str
    state: str
    """Of `Status`, or "silent" where it says that it runs but has said nothing for a while, or "unknown"."""
    why: str = ""
    said: datetime | None = None
    """When it last said anything."""
    host: str = ""
    process: int = 0
    planned: int
    finished: int
    failed: int
    lost: int = 0
    """Lines of the records that could not be read."""
    steps: int = 0
    steps_done: int = 0
    left: float | None = None
    left_at_least: bool = False
    playing: tuple[UnderWay, ...] = ()
    thinking: tuple[UnderWay, ...] = ()
    scoring: tuple[int, int] | None = None
    servers: dict[str, ServerState] = {}
    """By address."""
    learners: dict[str, int] = {}
    """Iterations or rounds committed, by learner or population."""
    iterations: int = 0
    """Of each."""
    cells: tuple[Cell, ...] = ()
    accounts: tuple[Row, ...] = ()
    tokens: int = 0
    calls: int = 0
    hours: float = 0.0
    """Of wall time in which anything was asked, over all processes that ran the study."""
    cost: float | None = None
    """None where nothing has a price."""
    reasons: dict[str, int] = {}
    """Failed episodes not made good, by reason."""
    warnings: tuple[str, ...] = ()
    recent: tuple[Recent, ...] = ()
    """The latest first."""


@dataclass
class _Tail:
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
class _Sums:
    finished: int = 0
    total: float = 0.0


@dataclass
class _Episodes:
    """What `episodes.jsonl` has said so far."""

    cells: defaultdict[CellKey, _Sums] = field(default_factory=lambda: defaultdict(_Sums))
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
        self._episodes_file = _Tail(self.directory.episodes_file)
        self._events_file = _Tail(self.directory.events_file)
        self._episodes = _Episodes()
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
            accounts=tuple(_row(post, account, self._prices) for post, account in sorted(accounts.posts.items())),
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
            if (sums := self._episodes.cells.get(key, _Sums()))
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


def _row(post: Post, account: Account, prices: Prices) -> Row:
    return Row(
        **post._asdict(),
        calls=account.calls,
        prompt_tokens=account.prompt_tokens,
        cached_tokens=account.cached_tokens,
        completion_tokens=account.completion_tokens,
        scored=account.scored,
        scored_tokens=account.scored_tokens,
        seconds=account.seconds,
        recalled=account.recalled,
        cost=prices.of_post(post, account),
    )
